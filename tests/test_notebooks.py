from __future__ import annotations

import json

import pytest

from .conftest import PROJECT
from .notebooks import execute, printed

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def test_robust_and_regularised_problems_have_the_same_solution() -> None:
    text = printed(execute(PROJECT / "notebooks" / "robust_optimization.ipynb"))
    assert text.count("worst change found by ascent") == 2
    assert text.count("closed form") >= 5
    assert "five steps, the same bits" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebooks_are_kept_without_outputs(path) -> None:
    cells = json.loads(path.read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
