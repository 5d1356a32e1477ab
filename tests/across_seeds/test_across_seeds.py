"""What is gathered over seeds is what was stored, and its figures show it."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from robustify.across_seeds import gather, is_complete
from robustify.errors import InputError
from robustify.fingerprint import configuration_sha256
from robustify.reporting.seed_figures import accuracy_versus_epsilon, learning_curves
from robustify.significance import mcnemar
from robustify.storage import Tensors

NETS = ("baseline", "control", "l2", "linf")
LABELS = np.arange(100) % 10
RIGHT = {"baseline": 90, "control": 91, "l2": 93, "linf": 95}
OFFSETS = {"baseline": 0, "control": 1, "l2": 1, "linf": 1}
TRAINING = {
    "epochs": 2,
    "batch_size": 128,
    "optimiser": {"name": "sgd"},
    "schedule": {"name": "triangle"},
}
STORED = {"baseline": 0, "control": 12, "l2": 15, "linf": 18}


def predictions(labels: np.ndarray, right: int) -> torch.Tensor:
    wrong = np.arange(len(labels)) >= right
    return torch.from_numpy((labels + wrong) % 10)


def measured_of(seeds: tuple[int, ...]) -> dict[tuple[int, str, str], Any]:
    found: dict[tuple[int, str, str], Any] = {}
    for seed in seeds:
        stored = LABELS[: 20 + seed]
        found[seed, "", "adversarial_set"] = Tensors(
            # every image is there twice, but for the last of an odd number
            {"labels": torch.from_numpy(stored), "source": torch.arange(len(stored)) // 2},
            {
                "tensors_sha256": f"set {seed}",
                "size": len(stored),
                "by_norm": {"l2": len(stored)},
                "attacked_data_sha256": "test",
                "attacked_net_sha256": f"baseline {seed}",
                "sets": {"l2": {"radius": 1.0}},
            },
        )
        found[seed, "", "transfer"] = {
            "seed": seed,
            "images": 100,
            "sets": {"l2": {"radius": 1.0}},
            # and one that all seeds have in common
            "net_sha256": {**{net: f"{net} {seed}" for net in NETS}, "flat": "flat"},
        }
        for net in NETS:
            share = RIGHT[net] / 100 - 0.01 * seed
            robust = {"name": net, "radius": 0.5}
            found[seed, net, "predictions"] = Tensors(
                {
                    "test_set": predictions(LABELS, RIGHT[net] - seed),
                    "adversarial_set": predictions(stored, STORED[net]),
                },
                {
                    "net_sha256": f"{net} {seed}",
                    "test_data_sha256": "test",
                    "adversarial_set_sha256": f"set {seed}",
                    "trained": {
                        "seed": seed + OFFSETS[net],
                        "images": 60000,
                        "architecture": {"name": "mnist_convnet"},
                        "uncertainty_set": robust if net in ("l2", "linf") else {"name": "point"},
                        "maximiser": {"name": "steepest_ascent"},
                        "training": TRAINING,
                        "objective": {"name": "worst_case"},
                    },
                },
            )
            found[seed, net, "steps"] = {
                "images": 100,
                "accuracy": {"l2": {"1": share - 0.2, "0.5": share - 0.1}},
            }
            found[seed, net, "evaluation"] = {
                "uncertainty_set": robust if net in ("l2", "linf") else {"name": "point"},
                "epsilon_sweep": {"0.1": share - 0.1, "0.2": share - 0.3},
                "weights_sha256": f"{net} {seed}",
            }
            found[seed, net, "learning_curve"] = pd.DataFrame(
                {"test_accuracy": [0.5, share], "seconds": [10.0 + seed, 12.0 + seed]}
            )
            found[seed, net, "verification"] = {
                "images": 50,
                "weights_sha256": f"{net} {seed}",
                "failed_gates": [],
                "measured": [
                    {"norm": "linf", "epsilon": 0.1, "attack": "pgd_10", "accuracy": 0.6},
                    {"norm": "linf", "epsilon": 0.1, "attack": "all_attacks", "accuracy": 0.5},
                ],
            }
    return found


SETTINGS: dict[str, Any] = {
    "title": "MNIST",
    "environment": "base",
    "paper": {"nets": {}},
    "data": {"name": "mnist", "test_images": 100},
    "net": {"name": "mnist_convnet"},
    "seed": 0,
    "training": TRAINING,
    "objective": {"name": "worst_case"},
    "nets": {
        "baseline": {"seed_offset": 0, "uncertainty_set": {"name": "point"}},
        "control": {"uncertainty_set": {"name": "point"}},
        "l2": {"uncertainty_set": {"name": "l2", "radius": 0.5}},
        "linf": {"uncertainty_set": {"name": "linf", "radius": 0.5}},
    },
}


def gathered(measured: dict[tuple[int, str, str], Any]) -> tuple[dict, dict]:
    return gather(labels=LABELS, test_data_sha256="test", settings=SETTINGS, measured=measured)


def test_the_details_are_those_stored() -> None:
    summary, details = gathered(measured_of((0, 1)))
    assert summary["seeds"] == details["seeds"] == [0, 1]
    assert details["summary_sha256"] == configuration_sha256(json.loads(json.dumps(summary)))
    assert summary["adversarial_set"]["size"] == [20, 21]
    assert summary["nets"]["l2"]["test_accuracy"]["values"] == [0.93, 0.92]
    assert summary["nets"]["linf"]["adversarial_set_accuracy"]["values"] == [18 / 20, 18 / 21]
    linf = details["nets"]["linf"]
    assert linf["fgsm"]["0.2"]["values"] == pytest.approx([0.65, 0.64])
    assert linf["steps"]["l2"]["0.5"]["mean"] == pytest.approx(0.845)
    assert linf["curves"]["seconds"] == [[10, 12], [11, 13]]
    (row,) = linf["attacked"]
    assert (row["norm"], row["epsilon"], row["accuracy"]["mean"]) == ("linf", 0.1, 0.5)
    assert not linf["trains_on_points"]
    assert details["nets"]["control"]["trains_on_points"]
    assert summary["tests"]["adversarial_set"]["linf"]["by_image"][0]["images"] == 10
    # of twenty examples linf has eighteen, l2 the first fifteen of them
    best = details["best_on_adversarial_set"]
    assert set(best) == {"l2"}
    assert best["l2"][0]["p_value"] == mcnemar(3, 0)
    # each image has two examples, and these three are of the eighth and ninth image
    counted = best["l2"][0]["by_image"]
    assert (counted["images"], counted["only_first"], counted["only_second"]) == (10, 2, 0)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("net_sha256", "net"),
        ("test_data_sha256", "test data"),
        ("adversarial_set_sha256", "adversarial set"),
    ],
)
def test_what_was_measured_of_something_else_is_refused(key: str, what: str) -> None:
    measured = measured_of((0, 1))
    measured[1, "l2", "predictions"].provenance[key] = "another"
    with pytest.raises(InputError, match=f"l2 of seed 1 was measured with another {what}"):
        gathered(measured)


@pytest.mark.parametrize(
    ("what", "value", "told"),
    [
        ("uncertainty_set", {"name": "linf", "radius": 0.7}, "uncertainty_set.radius 0.7"),
        ("training", {**TRAINING, "epochs": 1}, "training.epochs 1, the parameters say 2"),
        ("images", 10000, "training_images 10000, the parameters say 60000"),
        (
            "architecture",
            {"name": "mnist_convnet", "input_batch_norm": True},
            "net.input_batch_norm True, the parameters say left out",
        ),
        ("maximiser", {"name": "projected_gradient"}, "maximiser.name"),
        ("objective", {"name": "mixed"}, "objective.name"),
        ("seed", 3, "seed 3, the parameters say 2"),
    ],
)
def test_seeds_of_other_parameters_are_refused(what: str, value: object, told: str) -> None:
    measured = copy.deepcopy(measured_of((0, 1)))
    measured[1, "linf", "predictions"].provenance["trained"][what] = value
    with pytest.raises(InputError, match=rf"linf of seed 1 was trained with {told}.*run the exp"):
        gathered(measured)


@pytest.mark.parametrize(
    ("key", "value"),
    [("watch", None), ("averaging", 0.0), ("optimiser", {"name": "sgd", "momentum": None})],
)
def test_what_is_null_or_the_default_anyway_refuses_no_seed(key: str, value: object) -> None:
    settings = {**SETTINGS, "training": {**TRAINING, key: value}}
    _, details = gather(
        labels=LABELS,
        test_data_sha256="test",
        settings=settings,
        measured=measured_of((0, 1)),
    )
    assert details["seeds"] == [0, 1]


def test_a_part_of_the_test_data_is_refused() -> None:
    settings = {**SETTINGS, "data": {"name": "mnist"}}
    with pytest.raises(InputError, match="have 100 images, the parameters ask for 10000"):
        gather(
            labels=LABELS,
            test_data_sha256="test",
            settings=settings,
            measured=measured_of((0,)),
        )


@pytest.mark.parametrize(
    ("data", "folder", "complete"),
    [
        ({}, None, True),
        ({"training_images": 5000}, None, False),
        ({"training_images": 5000}, "few_images", True),
        ({"test_images": 1000}, "few_images", False),
    ],
)
def test_fewer_training_images_count_where_they_have_a_folder_of_their_own(
    data: dict[str, int], folder: str | None, complete: bool
) -> None:
    assert is_complete({**SETTINGS, "data": data, "folder": folder}) is complete


def test_a_set_made_of_other_test_data_is_refused() -> None:
    measured = measured_of((0, 1))
    measured[1, "", "adversarial_set"].provenance["attacked_data_sha256"] = "another"
    with pytest.raises(InputError, match="of seed 1 was measured with another test data"):
        gathered(measured)


def test_a_set_made_on_another_baseline_is_refused() -> None:
    measured = measured_of((0, 1))
    measured[1, "", "adversarial_set"].provenance["attacked_net_sha256"] = "another"
    with pytest.raises(InputError, match="of seed 1 was measured with another baseline"):
        gathered(measured)


@pytest.mark.parametrize(
    ("kind", "key", "what"),
    [
        ("verification", "weights_sha256", "net"),
        ("evaluation", "adversarial_set_sha256", "adversarial set"),
    ],
)
def test_measurements_of_other_weights_or_sets_are_refused(kind: str, key: str, what: str) -> None:
    measured = measured_of((0, 1))
    measured[1, "l2", kind][key] = "another"
    with pytest.raises(InputError, match=f"l2 of seed 1 was measured with another {what} than"):
        gathered(measured)


@pytest.mark.parametrize(
    ("net", "kind", "key", "value", "what"),
    [
        ("l2", "evaluation", "epsilon_sweep", {"0.1": 0.5}, "evaluation.epsilons"),
        ("l2", "verification", "images", 200, "verification.brief"),
        ("l2", "verification", "attacks", {"pgd_10": {"steps": 1}}, "verification.brief"),
        ("l2", "steps", "images", 50, r"across_seeds\.steps"),
        ("l2", "steps", "accuracy", {"l2": {"1": 0.5}}, r"across_seeds\.steps"),
        ("l2", "verification", "measured", [], "verification.brief"),
    ],
)
def test_seeds_that_were_measured_otherwise_are_refused(
    net: str, kind: str, key: str, value: object, what: str
) -> None:
    measured = measured_of((0, 1))
    measured[1, net, kind][key] = value
    with pytest.raises(
        InputError, match=f"{net} of seed 1 was measured by other {what} than seed 0"
    ):
        gathered(measured)


def test_sets_of_other_radii_are_not_averaged() -> None:
    measured = measured_of((0, 1))
    measured[1, "", "adversarial_set"].provenance["sets"] = {"l2": {"radius": 2.0}}
    with pytest.raises(InputError, match=r"of seed 1 was measured by other adversarial_set\.sets"):
        gathered(measured)


def test_failed_gates_of_any_seed_are_kept() -> None:
    measured = measured_of((0, 1))
    measured[1, "l2", "verification"]["failed_gates"] = ["gradients_are_there"]
    _, details = gathered(measured)
    assert details["nets"]["l2"]["failed_gates"] == ["gradients_are_there"]
    assert details["nets"]["linf"]["failed_gates"] == []


def test_a_training_that_ended_earlier_leaves_the_rest_to_the_others() -> None:
    measured = measured_of((0, 1))
    measured[1, "linf", "learning_curve"] = pd.DataFrame({"test_accuracy": [0.7], "seconds": [20]})
    _, details = gathered(measured)
    by_epoch, by_second = learning_curves(details).axes
    np.testing.assert_allclose(by_epoch.lines[-1].get_ydata(), [60, 95])
    # epochs of 10, 12 and 20 seconds
    np.testing.assert_allclose(by_second.lines[-1].get_xdata(), [12, 24])


def test_steps_of_some_images_begin_at_the_accuracy_on_those() -> None:
    measured = measured_of((0,))
    for net in NETS:
        measured[0, net, "steps"]["images"] = 95
    _, details = gathered(measured)
    linf_panel, l2_panel = accuracy_versus_epsilon(details).axes
    assert linf_panel.lines[-1].get_ydata()[0] == pytest.approx(95)
    assert l2_panel.lines[-1].get_ydata()[0] == pytest.approx(100)


def test_bands_are_means_and_deviations() -> None:
    _, details = gathered(measured_of((0, 1)))
    linf_panel, l2_panel = accuracy_versus_epsilon(details).axes
    line = linf_panel.lines[-1]
    np.testing.assert_allclose(line.get_xdata(), [0, 0.1, 0.2])
    np.testing.assert_allclose(line.get_ydata(), [94.5, 84.5, 64.5])
    (outline,) = linf_panel.collections[-1].get_paths()
    heights = outline.vertices[outline.vertices[:, 0] == 0.2][:, 1]
    # two values one point apart deviate by 1/√2
    np.testing.assert_allclose([heights.min(), heights.max()], 64.5 + np.array([-1, 1]) / 2**0.5)
    np.testing.assert_allclose(sorted(l2_panel.lines[-1].get_xdata()), [0, 0.5, 1])
    by_epoch, by_second = learning_curves(details).axes
    np.testing.assert_allclose(by_epoch.lines[-1].get_xdata(), [1, 2])
    # epochs of 10, 12, 11 and 13 seconds
    np.testing.assert_allclose(by_second.lines[-1].get_xdata(), [11.5, 23])


def test_of_two_epochs_both_are_in_view() -> None:
    _, details = gathered(measured_of((0, 1)))
    by_epoch, _ = learning_curves(details).axes
    lowest, highest = by_epoch.get_ylim()
    drawn = np.concatenate([line.get_ydata() for line in by_epoch.lines])
    assert lowest < drawn.min() < drawn.max() < highest


def test_one_seed_has_no_band() -> None:
    _, details = gathered(measured_of((0,)))
    figure = accuracy_versus_epsilon(details)
    assert all(not axes.collections for axes in figure.axes)
    assert "(seed 0)" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((1, "l2", "steps"), "l2 of seed 1 was measured with another net"),
        ((1, "", "single_pixel"), "of seed 1 was measured with another baseline"),
    ],
)
def test_what_was_measured_of_an_earlier_net_is_refused(
    place: tuple[int, str, str], words: str
) -> None:
    measured = measured_of((0, 1))
    measured[1, "", "single_pixel"] = {"net_sha256": "baseline 1"}
    measured[1, "l2", "steps"]["net_sha256"] = "l2 1"
    gathered(measured)
    measured[place]["net_sha256"] = "that of before"
    with pytest.raises(InputError, match=words):
        gathered(measured)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"net_sha256/l2": "l2 0"}, "transfer was measured with another l2 of seed 1"),
        ({"net_sha256/flat": "another"}, "transfer of seed 1 was measured with other"),
        ({"sets/l2": {"radius": 2.0}}, "transfer of seed 1 was measured with other"),
        ({"images": 50}, "transfer of seed 1 was measured with other"),
    ],
)
def test_transfer_of_other_nets_or_balls_is_refused(changes: dict[str, Any], told: str) -> None:
    measured = measured_of((0, 1))
    details = gathered(measured)[1]
    assert [transfer["seed"] for transfer in details["transfers"]] == [0, 1]
    for path, value in changes.items():
        *parents, key = path.split("/")
        place = measured[1, "", "transfer"]
        for parent in parents:
            place = place[parent]
        place[key] = value
    with pytest.raises(InputError, match=told):
        gathered(measured)
    del measured[1, "", "transfer"]["net_sha256"]
    with pytest.raises(InputError, match="transfer was measured with another baseline of seed 1"):
        gathered(measured)
