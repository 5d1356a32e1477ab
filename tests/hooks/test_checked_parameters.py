from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from click import ClickException
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline, node
from kedro_datasets.json import JSONDataset

from robustify.checks.parameters import experiments_of
from robustify.hooks import CheckedParameters
from robustify.settings import CONFIG_LOADER_ARGS

from ..conftest import PROJECT


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


@pytest.mark.parametrize(
    ("trained", "told"),
    [("mnist.l2", None), ("mnist.tangent", r"objectives\.nets\.tangent: tangent planes")],
)
def test_what_nets_of_other_pipelines_need_is_nothing_to_a_run(
    trained: str, told: str | None
) -> None:
    """Shifted images have no tangent planes; a run that trains no net on planes may shift them."""
    loader = OmegaConfigLoader(str(PROJECT / "conf"), env="base", **CONFIG_LOADER_ARGS)
    parameters = {**loader["parameters"], "experiments": ["mnist"]}
    parameters["mnist"]["training"]["translation"] = 2
    hooks = CheckedParameters()
    hooks._experiments = experiments_of(parameters)
    made = node(lambda: 0, None, "model", tags=["mnist", "training"], namespace=trained)
    if told is None:
        hooks.before_pipeline_run({}, Pipeline([made]), DataCatalog())
        return
    with pytest.raises(ClickException, match=told):
        hooks.before_pipeline_run({}, Pipeline([made]), DataCatalog())
