from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node, pipeline
from kedro_datasets.text import TextDataset

from robustify.checks.missing_inputs import missing_inputs
from robustify.checks.tags import unknown_tags


def made(*outputs: str) -> Pipeline:
    return pipeline([node(lambda: (0,) * len(outputs), None, list(outputs))])


PIPELINES = {
    "__default__": made("mnist.set", "mnist.net"),
    "also_robust": made("mnist.set"),
    "mnist_objectives": made("mnist.vat", "mnist.set"),
    "mnist_robust": made("mnist.set", "mnist.net"),
}


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    names = ("mnist.set", "mnist.net", "mnist.vat", "own.table", "mnist.seed_1.net")
    (tmp_path / "mnist.net").write_text("there")
    return DataCatalog({name: TextDataset(filepath=str(tmp_path / name)) for name in names})


def reads(*inputs: str) -> Pipeline:
    return pipeline([node(lambda *_: 0, list(inputs), "x")])


def test_what_a_run_reads_and_is_not_there_is_named_with_the_pipeline_that_makes_it(
    catalog: DataCatalog,
) -> None:
    run = reads("mnist.set", "mnist.net", "mnist.vat", "own.table", "params:mnist", "parameters")
    asked = ", with the same --env and --params"
    assert missing_inputs(run, catalog, PIPELINES) == [
        f"not made yet: mnist.set; make it by kedro run --pipeline=mnist_robust{asked}",
        f"not made yet: mnist.vat; make it by kedro run --pipeline=mnist_objectives{asked}",
    ]
    assert missing_inputs(reads("mnist.net"), catalog, PIPELINES) == []


def test_what_a_run_makes_itself_may_be_missing(catalog: DataCatalog) -> None:
    run = made("mnist.set", "mnist.net") + reads("mnist.set")
    assert missing_inputs(run, catalog, PIPELINES) == []


def test_other_seeds_are_named_with_the_command_for_each(catalog: DataCatalog) -> None:
    assert missing_inputs(reads("mnist.seed_1.net"), catalog, PIPELINES) == [
        "not run yet: mnist with seed 1; make them by kedro run --pipeline=mnist_robust --params=mnist.seed=1, with the same --env and other --params"
    ]


def test_tags_that_no_node_has_are_named_with_those_that_there_are() -> None:
    tagged = pipeline([node(lambda: 0, None, "a", tags=["l2", "mnist"])])
    assert unknown_tags(["l2"], among=[tagged], of=[tagged]) is None
    complaint = unknown_tags(["l2", "lnf"], among=[tagged], of=[tagged, made("b")])
    assert complaint == "no node chosen has the tag 'lnf'; tags are l2, mnist"
