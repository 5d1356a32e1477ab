from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node, pipeline

from robustify.checks.parameters import experiments_of
from robustify.checks.stored_nets import stale_nets
from robustify.datasets.safetensors import NetDataset
from robustify.pipelines.training.nodes import train_net
from robustify.settings import CONFIG_LOADER_ARGS
from robustify.storage import Tensors, save_net

from ..conftest import PROJECT

OF_SEED = "mnist.seed_0.l2.model"
GATHER = node(lambda model: 0, [OF_SEED], "mnist.across_seeds", name="gather")
MEASURE = node(lambda model: 0, ["mnist.l2.model"], "mnist.l2.evaluation", name="measure")
REPORT = node(lambda evaluation: 0, ["mnist.l2.evaluation"], "mnist.report", name="report")
TRAIN = node(lambda: 0, None, "mnist.l2.model", name="train")
PIPELINES = {"mnist_robust": pipeline([TRAIN, MEASURE, REPORT])}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    loader = OmegaConfigLoader(str(PROJECT / "conf"), env="quick", **CONFIG_LOADER_ARGS)
    parameters = {**loader["parameters"], "experiments": ["mnist"]}
    parameters["mnist"]["data"] |= {"training_images": 200, "test_images": 100}
    parameters["mnist"]["training"]["epochs"] = 1
    return parameters


@pytest.fixture(scope="module")
def catalog(parameters: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> DataCatalog:
    """A catalog of the l2 net, trained by the node of the pipeline as the parameters say."""
    folder = tmp_path_factory.mktemp("trained")
    mnist = parameters["mnist"]
    images = torch.randint(256, (200, 1, 28, 28), dtype=torch.uint8)
    data = Tensors(
        {"images": images, "labels": torch.arange(200) % 10}, {"data": "mnist", "images": 200}
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        trained, _ = train_net(
            *(data, data, mnist["net"], mnist["training"], mnist["objective"]),
            *(mnist["nets"]["l2"], mnist["seed"], "cpu"),
            title="mnist.l2",
        )
        save_net(Path("l2.safetensors"), trained)
    stored = NetDataset(filepath=str(folder / "l2.safetensors"))
    return DataCatalog({"mnist.l2.model": stored, OF_SEED: stored})


def complaints(
    parameters: dict[str, Any], changes: dict[str, Any], catalog: DataCatalog, run: Pipeline
) -> list[str]:
    changed = copy.deepcopy(parameters)
    for path, value in changes.items():
        *way, last = path.split(".")
        inner = changed["mnist"]
        for key in way:
            inner = inner[key]
        inner[last] = value
    return stale_nets(run, catalog, experiments_of(changed), PIPELINES)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        # what has no part in the training
        ({"verification.brief.images": 7, "adversarial_set.sets.l2.radius": 0.5}, None),
        ({"nets.linf.uncertainty_set.radius": 0.3}, None),
        # what is the default anyway, or leaves something out
        ({"training.averaging": 0.0, "training.optimiser.dampening": None}, None),
        (
            {"nets.l2.uncertainty_set.radius": 5.0},
            "uncertainty_set.radius 1.2, the parameters say 5.0",
        ),
        ({"training.batch_size": 64}, "training.batch_size 128, the parameters say 64"),
        ({"training.optimiser.momentum": None}, "momentum 0.9, the parameters say left out"),
        ({"objective.label_smoothing": 0.1}, "objective.label_smoothing"),
        ({"net.soft_threshold": 20.0}, "net.soft_threshold left out, the parameters say 20.0"),
        ({"seed": 4}, "seed 1, the parameters say 5"),
        ({"data.training_images": 400}, "training_images 200, the parameters say 400"),
        ({"nets.l2.maximiser": {"name": "projected_gradient"}}, "maximiser.name"),
    ],
)
def test_a_net_that_was_trained_otherwise_is_told(
    parameters: dict[str, Any], catalog: DataCatalog, changes: dict[str, Any], told: str | None
) -> None:
    for run in (pipeline([MEASURE]), pipeline([REPORT])):
        found = complaints(parameters, changes, catalog, run)
        if told is None:
            assert found == []
            continue
        (complaint,) = found
        assert told in complaint
        assert (
            ": mnist.l2; train again by kedro run --pipeline=mnist_robust --namespaces=mnist.l2 with"
            in complaint
        )
    assert complaints(parameters, changes, catalog, pipeline([TRAIN, MEASURE])) == []


def test_gathering_seeds_is_told_before_anything_is_measured(
    parameters: dict[str, Any], catalog: DataCatalog
) -> None:
    run = pipeline([GATHER])
    for seed in (0, 3):
        # of that seed, whichever the run's own is
        assert complaints(parameters, {"seed": seed}, catalog, run) == []
    (complaint,) = complaints(parameters, {"training.epochs": 2}, catalog, run)
    assert complaint.startswith(
        "trained with training.epochs 1, the parameters say 2: mnist.l2 of seed 0; run that seed again by kedro run "
        "--pipeline=mnist_robust --params=mnist.seed=0 with"
    )
