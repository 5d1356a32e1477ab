from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import node, pipeline

from robustify.checks.stored_data import stale_data
from robustify.configuration import Experiment
from robustify.datasets.safetensors import TensorsDataset
from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.hooks.checked_parameters import CheckedParameters
from robustify.pipelines.evaluation.nodes import evaluate_net
from robustify.reporting.results import require_one_origin
from robustify.storage import Tensors, TrainedNet, read_provenance, save_tensors

from ..conftest import LinearNet


def data(path: Path, count: int) -> TensorsDataset:
    save_tensors(path, Tensors({"images": torch.zeros(count, 1)}, {"images": count}))
    return TensorsDataset(filepath=str(path))


class Asked:
    """What an experiment's parameters say of its data."""

    def __init__(self, training_images: int | None, test_images: int | None) -> None:
        self.data = type("Data", (), {
            "name": "mnist", "training_images": training_images, "test_images": test_images,
        })  # fmt: skip


def of(asked: Asked) -> dict[str, Experiment]:
    return {"mnist": asked}  # type: ignore[dict-item]


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    return DataCatalog({
        "mnist.training_data": data(tmp_path / "train.safetensors", 500),
        "mnist.test_data": data(tmp_path / "test.safetensors", 200),
    })  # fmt: skip


TRAIN = node(lambda training, test: 0, ["mnist.training_data", "mnist.test_data"], "mnist.model")
INGEST = node(lambda: (0, 0), None, ["mnist.training_data", "mnist.test_data"])


def test_data_of_another_size_than_asked_for_are_told(catalog: DataCatalog) -> None:
    run = pipeline([TRAIN])
    assert stale_data(run, catalog, of(Asked(500, 200))) == []
    (training, test) = stale_data(run, catalog, of(Asked(None, None)))
    assert training.startswith(
        "mnist.training_data has 500 images, the parameters ask for 60,000; make it again by "
        "kedro run --pipeline=mnist_robust --nodes=mnist.ingest"
    )
    assert test.startswith("mnist.test_data has 200 images, the parameters ask for 10,000;")


def test_data_that_the_run_makes_itself_or_that_are_not_there_are_not_looked_at(
    catalog: DataCatalog, tmp_path: Path
) -> None:
    assert stale_data(pipeline([INGEST, TRAIN]), catalog, of(Asked(None, None))) == []
    (tmp_path / "train.safetensors").unlink()
    assert len(stale_data(pipeline([TRAIN]), catalog, of(Asked(None, None)))) == 1


def test_the_header_is_read_without_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_tensors(path, Tensors({"images": torch.zeros(3)}, {"images": 3}))
    assert read_provenance(path)["images"] == 3
    for content in (b"", b"\x00" * 20):
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        with pytest.raises(InputError, match=r"one\.safetensors isn't a readable Robustify file"):
            read_provenance(path)


def measured(weights: str) -> dict[str, Any]:
    return {"weights_sha256": weights}


def test_measurements_of_different_runs_do_not_stand_side_by_side() -> None:
    evaluations = {"baseline": measured("a"), "l2": measured("b")}
    same = {"baseline": measured("a"), "l2": measured("b")}
    attacked = {"attacked_net_sha256": "a", "tensors_sha256": "set"}
    require_one_origin(evaluations, same, attacked)
    require_one_origin(evaluations, {}, attacked)
    with pytest.raises(InputError, match="l2 was evaluated and verified with different weights"):
        require_one_origin(evaluations, {**same, "l2": measured("c")}, attacked)
    with pytest.raises(InputError, match="made on another baseline than the one evaluated"):
        require_one_origin(evaluations, same, {**attacked, "attacked_net_sha256": "c"})
    on_one = {net: {**found, "adversarial_set_sha256": "set"} for net, found in evaluations.items()}
    require_one_origin(on_one, same, attacked)
    with pytest.raises(InputError, match="l2 was evaluated on another adversarial set"):
        require_one_origin(
            {**on_one, "l2": {**measured("b"), "adversarial_set_sha256": "old"}}, same, attacked
        )


def test_a_set_of_other_test_images_measures_nothing() -> None:
    model = TrainedNet(LinearNet(4, 2), {"name": "linear"}, {})
    test_data = Tensors({}, {"tensors_sha256": "now"})
    stored = Tensors({}, {"attacked_data_sha256": "before"})
    with pytest.raises(InputError, match="made of other test images than those stored now"):
        evaluate_net(model, test_data, stored, {}, "cpu")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    from click import ClickException
    from kedro_datasets.json import JSONDataset

    path = tmp_path / "evaluation.json"
    path.write_text("{")
    catalog = DataCatalog({"mnist.l2.evaluation": JSONDataset(filepath=str(path))})
    with pytest.raises(DatasetError) as error:
        catalog.load("mnist.l2.evaluation")
    hook = CheckedParameters().on_pipeline_error(error.value)
    next(hook)
    with pytest.raises(ClickException, match=r"evaluation\.json.*remove that file, and make it"):
        hook.send(None)
