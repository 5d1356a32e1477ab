"""Nodes that ``--only-missing-outputs`` leaves, against what Kedro's own runner then runs."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from robustify.checks.remaining import without_what_exists

FILES = ("data", "net", "curve", "table")
RUN = pipeline(
    [
        node(lambda: 0, None, "data", name="ingest"),
        node(lambda data: (0, 0), "data", ["net", "curve"], name="train"),
        # nothing keeps it
        node(lambda net: 0, "net", "examples", name="attack"),
        node(lambda examples: 0, "examples", "table", name="tabulate"),
        node(lambda table: None, "table", None, name="show"),
    ]
)


@pytest.mark.parametrize("unkept", [{}, {"examples": MemoryDataset()}], ids=["unnamed", "named"])
@pytest.mark.parametrize(
    "there",
    [those for count in range(5) for those in itertools.combinations(FILES, count)],
    ids=lambda there: "-".join(there) or "nothing",
)
def test_those_are_left_that_kedro_runs(
    there: tuple[str, ...], unkept: dict[str, MemoryDataset], tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / f"{name}.json").write_text("0")
    files = {name: JSONDataset(filepath=str(tmp_path / f"{name}.json")) for name in FILES}
    catalog = DataCatalog({**files, **unkept})
    kedros = SequentialRunner()._filter_pipeline_for_missing_outputs(RUN, catalog)
    left = without_what_exists(RUN, catalog)
    assert [node.name for node in left.nodes] == [node.name for node in kedros.nodes]
    assert "show" in {node.name for node in left.nodes}
