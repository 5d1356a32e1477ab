from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from robustify.settings import CONFIG_LOADER_ARGS
from robustify.verified_results.__main__ import main

from .conftest import PROJECT

KEYS = [
    "experiment", "net", "norm", "epsilon", "images", "clean_accuracy", "fgsm_accuracy", "pgd_accuracy",
    "autoattack_accuracy", "seconds", "command",
]  # fmt: skip


# of the net as it is configured: a verification of any other has no command that makes it again
RADIUS = yaml.safe_load((PROJECT / "conf/robust/parameters_mnist.yml").read_text())["mnist"][
    "nets"
]["linf_strong"]["uncertainty_set"]["radius"]


_INHERITED = yaml.safe_load((PROJECT / "conf/base/parameters_mnist.yml").read_text())["mnist"][
    "verification"
]["full"]["attacks"]
# what conf/robust leaves of conf/base's attacks
ATTACKS: dict[str, Any] = {name: _INHERITED[name] for name in ("one_step", "pgd_20")}


def row(norm: str, epsilon: float, attack: str, accuracy: float, seconds: float | None = 2.0):
    found = {"norm": norm, "epsilon": epsilon, "attack": attack, "accuracy": accuracy}
    times = {} if seconds is None else {"seconds": seconds}
    return {**found, "clean_accuracy": 0.99, **times}


def verification(
    *rows: dict[str, Any], radius: float = RADIUS, images: int = 10000, **changed: Any
):
    return {
        "images": images, "measured": list(rows), "attacks": ATTACKS, "gates": [{"gate": "one"}, {"gate": "two"}], "failed_gates": {},
        "uncertainty_set": {"name": "linf", "radius": radius}, "weights_sha256": "5e7", **changed,
    }  # fmt: skip


STRONG = verification(
    row("linf", 0.3, "one_step", 0.95),
    row("linf", 0.3, "pgd_20", 0.92, seconds=30.25),
    row("linf", 0.3, "autoattack", 0.89, seconds=4000.0),
    row("linf", 0.3, "all_attacks", 0.885, seconds=None),
)


def store(data: Path, experiment: str, net: str, found: object) -> None:
    path = data / "07_model_output" / experiment / net / "full_verification.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(found))


def run(data: Path, output: Path) -> list[dict[str, Any]]:
    arguments = ["--data", str(data), "--conf", str(PROJECT / "conf"), "--output", str(output)]
    assert main(arguments) == 0
    return json.loads(output.read_text())


def test_where_nothing_was_verified_the_list_is_empty(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert run(tmp_path / "data", tmp_path / "docs" / "verification.json") == []
    assert [path.name for path in (tmp_path / "docs").iterdir()] == ["verification.json"]


def test_an_entry_has_what_was_run_and_null_for_the_rest(tmp_path: Path) -> None:
    store(tmp_path, "mnist", "linf_strong", STRONG)
    # what is projected gradient says the attack, not its name
    attacks = {
        "pgd_20": ATTACKS["pgd_20"],
        "one_step": {**ATTACKS["pgd_20"], "steps": 50},
        "fgsm": ATTACKS["one_step"],
        "random_step": {**ATTACKS["one_step"], "random_start": True},
        "pgd_ce": {"name": "apgd_ce"},
    }
    rows = [
        row("l1", 2.0, "pgd_20", 0.5),
        row("l1", 2.0, "one_step", 0.25),
        row("l1", 2.0, "fgsm", 0.75),
        row("l1", 2.0, "random_step", 0.875),
    ]
    other = verification(*rows, row("l1", 2.0, "pgd_ce", 0.125), attacks=attacks)
    store(tmp_path, "cifar", "mine", other)
    mine, strong = run(tmp_path, tmp_path / "verification.json")
    assert (
        list(strong)
        == list(mine)
        == [*KEYS, "failed_gates", "all_attacks_accuracy", "gates", "weights_sha256"]
    )
    assert strong == {
        "experiment": "mnist", "net": "linf_strong", "norm": "linf", "epsilon": 0.3, "images": 10000,
        "clean_accuracy": 0.99, "fgsm_accuracy": 0.95, "pgd_accuracy": 0.92, "autoattack_accuracy": 0.89,
        "seconds": 4032.2,
        "command": "kedro run --pipeline=mnist_verification"
        " --namespaces=mnist.linf_strong_full_verification --env=robust",
        "failed_gates": [], "all_attacks_accuracy": 0.885, "gates": 2, "weights_sha256": "5e7",
    }  # fmt: skip
    # no row sums them up
    assert mine["all_attacks_accuracy"] == 0.125
    assert (mine["fgsm_accuracy"], mine["pgd_accuracy"], mine["autoattack_accuracy"]) == (
        0.75,
        0.25,
        None,
    )


def test_a_command_is_named_only_if_a_configuration_measures_just_that(tmp_path: Path) -> None:
    changes: dict[str, dict[str, Any]] = {
        "radius": {"radius": 0.25},
        "attacks": {"measured": STRONG["measured"][:2]},
        "options": {"attacks": {**ATTACKS, "pgd_20": {**ATTACKS["pgd_20"], "steps": 21}}},
    }
    for name, changed in changes.items():
        found = {**STRONG, **{key: value for key, value in changed.items() if key != "radius"}}
        if "radius" in changed:
            found["uncertainty_set"] = {"name": "linf", "radius": changed["radius"]}
        store(tmp_path / name, "mnist", "linf_strong", found)
        (entry,) = run(tmp_path / name, tmp_path / f"{name}.json")
        assert entry["command"] is None


def test_entries_of_nets_measured_elsewhere_stay_and_others_are_replaced(tmp_path: Path) -> None:
    output = tmp_path / "verification.json"
    store(tmp_path / "here", "mnist", "linf_strong", STRONG)
    (first,) = run(tmp_path / "here", output)
    worse = {**STRONG, "measured": [row("linf", 0.3, "one_step", 0.5)]}
    store(tmp_path / "there", "mnist", "linf_strong", worse)
    store(tmp_path / "there", "cifar", "linf", verification(row("linf", 0.1, "one_step", 0.4)))
    cifar, mnist = run(tmp_path / "there", output)
    assert (cifar["experiment"], mnist["fgsm_accuracy"]) == ("cifar", 0.5)
    (tmp_path / "nowhere").mkdir()
    assert run(tmp_path / "nowhere", output) == [cifar, mnist]
    assert run(tmp_path / "here", output) == [cifar, first]


def test_the_command_asks_for_the_images_that_there_were(tmp_path: Path) -> None:
    store(tmp_path, "mnist", "linf_strong", {**STRONG, "images": 500})
    (entry,) = run(tmp_path, tmp_path / "verification.json")
    assert entry["command"] == (
        "kedro run --pipeline=mnist_verification --namespaces=mnist.linf_strong_full_verification"
        " --env=robust --params=mnist.verification.full.images=500"
    )


def test_what_is_of_fewer_images_replaces_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "verification.json"
    store(tmp_path / "full", "mnist", "linf_strong", STRONG)
    full = run(tmp_path / "full", output)
    store(tmp_path / "small", "mnist", "linf_strong", {**STRONG, "images": 20})
    assert run(tmp_path / "small", output) == full
    told = capsys.readouterr().err
    assert "left out, mnist.linf_strong: it is of 20 images, the stored entries of 10,000" in told


def full_of_l2(*, images: int) -> dict[str, Any]:
    """Return what conf/base's full verification of MNIST's l2 net measures."""
    mnist = yaml.safe_load((PROJECT / "conf/base/parameters_mnist.yml").read_text())["mnist"]
    full = mnist["verification"]["full"]
    rows = [
        row(norm, epsilon, attack, 0.5)
        for norm, epsilons in full["norms"].items()
        for epsilon in epsilons
        for attack in full["attacks"]
    ]
    rows.append(row("l2", full["autoattack"]["l2"]["epsilon"], "autoattack", 0.5))
    found = verification(*rows, images=images, attacks=full["attacks"])
    return {**found, "uncertainty_set": mnist["nets"]["l2"]["uncertainty_set"]}


def test_a_look_at_the_graph_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = yaml.safe_load((PROJECT / "conf/quick/parameters_mnist.yml").read_text())["mnist"]
    store(tmp_path, "mnist", "l2", full_of_l2(images=quick["verification"]["full"]["images"]))
    assert run(tmp_path, tmp_path / "verification.json") == []
    assert "left out, mnist.l2: it is of conf/quick" in capsys.readouterr().err


def test_what_a_net_was_trained_with_decides_which_configuration_it_is_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = full_of_l2(images=20)
    for name, trained, command in (
        ("base", trained_as("base"), True),
        ("quick", trained_as("quick"), None),
        ("none", {**trained_as("base"), "images": 30000}, False),
    ):
        store(tmp_path / name, "mnist", "l2", {**found, "trained": trained})
        entries = run(tmp_path / name, tmp_path / f"{name}.json")
        expected = (
            "kedro run --pipeline=mnist_verification --namespaces=mnist.l2_full_verification"
            " --params=mnist.verification.full.images=20"
        )
        told = "left out, mnist.l2: it is of conf/quick" in capsys.readouterr().err
        assert told == (command is None)
        assert {entry["command"] for entry in entries} == (
            set() if command is None else {expected if command else None}
        )


def trained_as(env: str) -> dict[str, Any]:
    """Return what the l2 net of a configuration is trained with, written by hand of its file's entries."""
    loader = OmegaConfigLoader(str(PROJECT / "conf"), env=env, **CONFIG_LOADER_ARGS)
    mnist = loader["parameters"]["mnist"]
    return {
        "images": mnist["data"].get("training_images") or 60000,
        "architecture": mnist["net"],
        "uncertainty_set": mnist["nets"]["l2"]["uncertainty_set"],
        "maximiser": {"name": "steepest_ascent"},
        "training": mnist["training"],
        "objective": mnist["objective"],
        "seed": 1,
    }


def test_settings_with_a_folder_of_their_own_stand_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = yaml.safe_load((PROJECT / "conf/base/parameters_mnist.yml").read_text())["mnist"]
    depth = full["verification"]["full"]
    balls = {(norm, epsilon) for norm, epsilons in depth["norms"].items() for epsilon in epsilons}
    found = verification(
        *(row(*ball, attack, 0.5) for ball in balls for attack in depth["attacks"]),
        images=depth["images"], attacks=depth["attacks"], uncertainty_set={"name": "point"},
    )  # fmt: skip
    store(tmp_path, "mnist", "baseline", found)
    store(tmp_path, "mnist/float32", "baseline", {**found, "failed_gates": {"one": "said"}})
    # of one seed, and of no settings that are known
    store(tmp_path, "mnist/seed_1", "baseline", found)
    store(tmp_path, "mnist/unknown", "baseline", found)
    output = tmp_path / "verification.json"
    entries = run(tmp_path, output)
    command = (
        "kedro run --pipeline=mnist_verification --namespaces=mnist.baseline_full_verification"
    )
    where = {(entry.get("environment"), entry["command"]) for entry in entries}
    assert where == {(None, command), ("float32", f"{command} --env=float32")}
    assert len(entries) == 2 * len(balls)
    assert "mnist.baseline of conf/float32 (one)" in capsys.readouterr().err
    # those of conf/base, measured anew elsewhere, take their own place only
    store(tmp_path / "new", "mnist", "baseline", {**found, "weights_sha256": "another"})
    again = run(tmp_path / "new", output)
    assert {(entry.get("environment"), entry["weights_sha256"]) for entry in again} == {
        (None, "another"),
        ("float32", "5e7"),
    }


def test_a_net_that_failed_a_gate_is_flagged_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {**STRONG, "failed_gates": {"gradients_are_there": "the gradient is zero"}}
    store(tmp_path, "mnist", "linf_strong", found)
    (entry,) = run(tmp_path, tmp_path / "verification.json")
    assert entry["failed_gates"] == ["gradients_are_there"]
    assert "mnist.linf_strong (gradients_are_there)" in capsys.readouterr().err


HEAD = '{"images": 3, "attacks": {}, "gates": [], "failed_gates": {}, "uncertainty_set": {"name": "l2"}, "weights_sha256": "5e7", "measured": '


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"images": 3}',
        HEAD.replace('"weights_sha256": "5e7", ', "") + "[]}",
        HEAD + "null}",
        HEAD + '[{"norm": "l2", "attack": "one_step", "accuracy": 0.5, "clean_accuracy": 0.9}]}',
        HEAD + '[{"norm": "l2", "epsilon": 1, "attack": "one_step", "accuracy": 0.5}]}',
        HEAD
        + '[{"norm": "l2", "epsilon": 1, "attack": "one_step", "accuracy": null, "clean_accuracy": 0.9}]}',
    ],
)
def test_what_is_no_verification_is_refused_by_name(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "07_model_output" / "mnist" / "l2" / "full_verification.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    output = tmp_path / "verification.json"
    output.write_text("[]\n")
    arguments = ["--data", str(tmp_path), "--conf", str(PROJECT / "conf"), "--output", str(output)]
    assert main(arguments) == 2
    assert "full_verification.json isn't " in capsys.readouterr().err
    assert output.read_text() == "[]\n"


def test_a_misspelt_folder_and_a_broken_configuration_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, conf = tmp_path / "verification.json", tmp_path / "conf"
    shutil.copytree(PROJECT / "conf", conf)
    assert main(["--data", str(tmp_path / "typo"), "--conf", str(conf)]) == 2
    assert capsys.readouterr().err == f"{tmp_path / 'typo'} is no folder\n"
    (conf / "paper" / "parameters_mnist.yml").write_text("mnist: [")
    arguments = ["--data", str(tmp_path), "--conf", str(conf), "--output", str(output)]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "parameters_mnist.yml" in told
    assert told.count("\n") == 1
    assert not output.exists()
