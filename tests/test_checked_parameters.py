from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from click import ClickException
from kedro.io import DatasetError
from kedro_datasets.json import JSONDataset

from robustify.hooks import CheckedParameters


def ended_with(error: Exception) -> Generator[None, object, object]:
    end = CheckedParameters().on_pipeline_error(error)
    next(end)
    return end


def test_a_damaged_file_between_stages_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"cut sho')
    with pytest.raises(DatasetError) as caught:
        JSONDataset(filepath=str(path)).load()
    with pytest.raises(ClickException) as told:
        ended_with(caught.value).send(None)
    assert str(path) in told.value.message
    assert "Unterminated string" in told.value.message
    assert "\n" not in told.value.message


def test_a_mistake_of_the_code_keeps_its_traceback() -> None:
    with pytest.raises(StopIteration):
        ended_with(TypeError("it is ours")).send(None)
    with pytest.raises(StopIteration):
        ended_with(DatasetError("Failed while saving data")).send(None)
