"""The comparison of objectives, and the authors' own settings, on small parts of the real data."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch

from robustify.storage import load_tensors, load_trained_net

from .project import Project

SMALL = (
    "mnist.data.training_images=3000,mnist.data.test_images=500,mnist.training.epochs=1,"
    "mnist.training.batch_size=32,"
    "mnist.objectives.pgd.images=200,mnist.objectives.pgd.steps=5,mnist.objectives.pgd.relative_step=0.4"
)
NETS = [
    "baseline", "control", "l1", "l2", "linf", "mixed", "vat", "tangent", "manifold_tangent",
    "jacobian", "operator_norm", "fed_back",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def printed(project: Project) -> str:
    return project.kedro("run", "--pipeline=mnist_objectives", f"--params={SMALL}").stdout


def test_every_objective_has_a_row(project: Project, printed: str) -> None:
    data = project.folder / "data"
    table = pd.read_csv(data / "08_reporting/mnist/objectives.csv").set_index("net")
    assert list(table.index) == NETS
    assert (table["test_accuracy"] > 60).all()
    assert table.loc["baseline", "adversarial_set_accuracy"] == 0
    assert table.loc["mixed", ["objective", "options"]].tolist() == ["mixed", "alpha=0.5"]
    assert table.loc["l2", "objective"] == "worst_case"
    for net in NETS:
        stored = json.loads((data / f"07_model_output/mnist/{net}/robustness.json").read_text())
        assert stored["images"] == 200
        assert table.loc[net, "pgd_0.1"] == pytest.approx(100 * stored["pgd_accuracy"]["0.1"])
        assert table.loc[net, "pgd_0.2"] <= table.loc[net, "pgd_0.1"]
    assert 0 < table.loc["tangent", "off_plane"] < 1
    assert table["off_plane"].notna().sum() == 1
    assert (data / "08_reporting/mnist/objectives/objectives.png").stat().st_size > 10_000
    assert "one net under each objective" in printed


def test_the_fed_back_examples_are_training_images_that_fool_the_baseline(
    project: Project, printed: str
) -> None:
    data = project.folder / "data"
    clean = load_tensors(data / "02_intermediate/mnist/training_data.safetensors").tensors
    fed = load_tensors(data / "05_model_input/mnist/fed_back/training_data.safetensors")
    added = fed.provenance["adversarial_images"]
    assert len(fed.tensors["labels"]) == 3000 + added > 3000
    assert torch.equal(fed.tensors["images"][:3000], clean["images"])
    baseline = load_trained_net(data / "06_models/mnist/baseline.safetensors")
    assert fed.provenance["attacked_net_sha256"] == baseline.provenance["tensors_sha256"]
    with torch.no_grad():
        images = fed.tensors["images"][3000:].float() / 255
        predicted = baseline.net(images).argmax(dim=1)
    assert (predicted != fed.tensors["labels"][3000:]).all()


def test_a_robust_net_is_switched_by_a_parameter(project: Project, printed: str) -> None:
    project.kedro(
        "run", "--pipeline=mnist_robust", "--tags=l2",
        f"--params={SMALL},mnist.nets.l2.objective.name=vat,mnist.nets.l2.objective.beta=0.5",
    )  # fmt: skip
    about = load_trained_net(project.folder / "data/06_models/mnist/l2.safetensors").provenance
    assert about["objective"] == {
        "name": "vat", "beta": 0.5, "label_smoothing": 0.0, "inner_mode": "train"
    }  # fmt: skip


def test_the_authors_settings_run(project: Project, printed: str) -> None:
    project.kedro("run", "--pipeline=mnist_robust", "--env=paper", f"--params={SMALL}")
    results = project.results("mnist")
    assert results["nets"]["l2"]["uncertainty_set"] == {
        "name": "l2", "radius": 0.616, "step": "unclipped"
    }  # fmt: skip
    assert results["nets"]["l2"]["seed"] == results["nets"]["baseline"]["seed"] == 0
    net = load_trained_net(project.folder / "data/06_models/mnist/linf.safetensors")
    assert net.architecture == {"name": "mnist_convnet", "input_batch_norm": True}
