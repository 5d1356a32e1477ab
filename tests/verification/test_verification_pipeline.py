"""How verification is wired: which pipelines there are, what they read and write."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from robustify import pipeline_registry
from robustify.checks.parameters import ConfigurationError, experiments_of
from robustify.errors import InputError
from robustify.pipeline_registry import register_pipelines, use_experiments
from robustify.pipelines.verification.pipeline import create_pipeline
from robustify.tracking.nets import verification_metrics

from ..checked import check
from ..conftest import PROJECT
from ..test_configuration import load

NETS = ("baseline", "control", "l1", "l2", "linf")


@pytest.fixture
def parameters() -> dict[str, Any]:
    return copy.deepcopy(load("base"))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_registry, "_experiments", {})


def pipelines(parameters: dict[str, Any]) -> dict[str, Any]:
    use_experiments(experiments_of(parameters))
    return register_pipelines()


def test_the_full_verification_runs_by_itself_on_stored_nets(parameters: dict[str, Any]) -> None:
    found = pipelines(parameters)
    mnist = found["mnist_verification"]
    stored = {name for name in mnist.inputs() if not name.startswith("params:")}
    assert stored == {"mnist.test_data", *(f"mnist.{net}.model" for net in NETS)}
    assert {f"mnist.{net}.full_verification" for net in NETS} <= mnist.all_outputs()
    assert {f"mnist.full_verification_{kind}" for kind in ("table", "page", "figures")} <= (
        mnist.outputs()
    )
    both = {node.name for node in found["verification"].nodes}
    assert both == {
        node.name
        for name in ("mnist_verification", "cifar_verification")
        for node in found[name].nodes
    }


def test_the_brief_one_is_part_of_the_experiment_and_of_its_report(
    parameters: dict[str, Any],
) -> None:
    mnist = pipelines(parameters)["mnist_robust"]
    nodes = {node.name: node for node in mnist.nodes}
    assert set(nodes["mnist.l2_verification.verify"].tags) == {"mnist", "verification", "l2"}
    assert nodes["mnist.l2_verification.verify"].inputs == [
        "mnist.l2.model", "mnist.test_data", "params:mnist.verification", "params:mnist.seed",
        "params:mnist.device", "mnist.baseline.model",
    ]  # fmt: skip
    assert nodes["mnist.baseline_verification.verify"].inputs[-1] == "mnist.control.model"
    assert nodes["mnist.gather"].inputs[-5:] == [f"mnist.{net}.verification" for net in NETS]
    assert "mnist.verification_table" in mnist.outputs()
    assert not any("full_verification" in name for name in mnist.all_outputs())
    reporting = mnist.only_nodes_with_tags("reporting")
    assert "mnist.l2.verification" in reporting.inputs()


def test_without_its_section_nothing_is_verified(parameters: dict[str, Any]) -> None:
    for name in ("mnist", "cifar"):
        del parameters[name]["verification"]
    found = pipelines(parameters)
    assert not any("verification" in name for name in found)
    assert not any("verification" in name for name in found["__default__"].all_outputs())
    assert not any("verif" in node.name for node in found["__default__"].nodes)


def test_a_net_alone_has_no_other_to_borrow_examples_from() -> None:
    alone = create_pipeline("mnist", "baseline", ("baseline",), "full")
    assert alone.inputs() == {
        "mnist.baseline.model", "mnist.test_data", "params:mnist.verification",
        "params:mnist.seed", "params:mnist.device",
    }  # fmt: skip


@pytest.mark.parametrize("experiment", ["mnist", "cifar"])
def test_dvc_knows_what_a_verification_reads_and_writes(
    parameters: dict[str, Any], experiment: str
) -> None:
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    stage, report = stages[f"{experiment}_verify"], stages[f"{experiment}_report"]
    robust = pipelines(parameters)[f"{experiment}_robust"]
    assert list(stage["foreach"]) == list(parameters[experiment]["nets"])
    for net, item in stage["foreach"].items():
        (node,) = robust.only_nodes_with_namespaces([f"{experiment}.{net}_verification"]).nodes
        files = [name.replace("${key}", net).replace("${item.source}", item["source"])
                 for name in stage["do"]["deps"]]  # fmt: skip
        models = [name for name in files if name.startswith("data/06_models")]
        assert [f"{experiment}.{path.split('/')[-1].split('.')[0]}.model" for path in models] == [
            name for name in node.inputs if name.endswith(".model")
        ]
        assert f"data/07_model_output/{experiment}/{net}/verification.json" in report["deps"]
    (params,) = stage["do"]["params"]
    for key in params[f"conf/base/parameters_{experiment}.yml"]:
        place: Any = parameters
        for part in key.split("."):
            place = place[part]


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("brief.norms", {}, "mnist.verification.brief.norms"),
        ("brief.norms", {"l7": [0.1]}, "mnist.verification.brief.norms"),
        ("brief.norms.linf", [0.0], "greater than 0"),
        ("brief.norms.linf", [1.5], r"mnist\.verification\.brief\.norms\.linf: radius is 1\.5"),
        ("full.attacks.pgd_20.name", "fgsm", r"full\.attacks\.pgd_20\.name: 'fgsm' is unknown"),
        ("full.attacks.pgd_20.step", 3, "step"),
        ("full.attacks.autoattack", {"name": "autoattack"}, "neither autoattack"),
        (
            "full.autoattack.l7",
            {"norm": "l2", "epsilon": 1.0},
            r"autoattack\.l7: is no net of the experiment; known",
        ),
        ("full.autoattack.l2.epsilon", 30.0, "only 28 across"),
        ("full.image", 3, "did you mean images"),
        ("on_failure", "ignore", "'raise' or 'flag'"),
    ],
)
def test_wrong_values_show_before_any_work(
    parameters: dict[str, Any], path: str, value: object, complaint: str
) -> None:
    *folders, key = path.split(".")
    place = parameters["mnist"]["verification"]
    for folder in folders:
        place = place[folder]
    place[key] = value
    with pytest.raises((ConfigurationError, InputError), match=complaint):
        check("mnist", experiments_of(parameters)["mnist"])


def test_mlflow_is_told_every_accuracy_by_name() -> None:
    row = {"norm": "linf", "epsilon": 8 / 255, "attack": "pgd_20", "accuracy": 0.5}
    found = {"failed_gates": {"a": "b"}, "measured": [row]}
    assert verification_metrics(found, "full_verification") == {
        "full_verification_failed_gates": 1.0,
        "full_verification_linf_0.0313725_pgd_20": 0.5,
    }
