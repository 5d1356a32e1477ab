"""Where what a net was trained with differs from what the parameters ask for."""

from __future__ import annotations

from typing import Any

import pytest

from robustify.configuration import Net
from robustify.recipes import first_difference, recorded

TRAINING: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 64,
    "optimiser": {"name": "sgd", "momentum": 0.9},
    "schedule": {"name": "triangle"},
}
SETTINGS: dict[str, Any] = {
    "seed": 3,
    "data": {"name": "mnist", "training_images": 500},
    "net": {"name": "mnist_convnet"},
    "training": TRAINING,
    "objective": {"name": "worst_case", "label_smoothing": 0.1},
    "tangent_planes": {"neighbours": 20, "dimension": 8},
}
FED_BACK = {"name": "l2", "radius": 0.5}
# of what is trained below, as its file says it
PROVENANCE: dict[str, Any] = {
    "seed": 4,
    "uncertainty_set": {"name": "linf", "radius": 0.1},
    "maximiser": {"name": "steepest_ascent"},
    "training": TRAINING,
    "objective": {"name": "worst_case", "label_smoothing": 0.1},
    "training_data": {"data": "mnist", "images": 500},
}
NET = {"uncertainty_set": {"name": "linf", "radius": 0.1}}


def difference(net: dict[str, Any] = NET, **changed: Any) -> str | None:
    was = recorded({**PROVENANCE, **changed}, {"name": "mnist_convnet"})
    return first_difference(was, SETTINGS, Net(**net))


def test_the_same_is_the_same() -> None:
    assert difference() is None
    assert difference(training={**TRAINING, "averaging": 0.0, "watch": None}) is None


@pytest.mark.parametrize(
    ("net", "changed", "told"),
    [
        (NET, {"seed": 3}, "seed 3, the parameters say 4"),
        (
            NET,
            {"training": {**TRAINING, "epochs": 1}},
            "training.epochs 1, the parameters say 2",
        ),
        (
            NET,
            {"training_data": {"data": "mnist"}},
            "training_images left out, the parameters say 500",
        ),
        # what another version wrote of one part hides nothing of the others
        (
            NET,
            {"objective": {"name": "worst_case", "label_smoothing": 7}, "seed": 9},
            "label_smoothing 7, the parameters say 0.1",
        ),
        (
            NET,
            {"training": {**TRAINING, "gone": 1}},
            "training.gone 1, the parameters say left out",
        ),
        ({**NET, "fed_back": FED_BACK}, {}, "fed_back left out, the parameters say {"),
        (
            {**NET, "fed_back": FED_BACK},
            {"training_data": {"images": 500, "fed_back": {**FED_BACK, "radius": 0.25}}},
            "fed_back.radius 0.25, the parameters say 0.5",
        ),
        (
            {**NET, "fed_back": FED_BACK},
            {"training_data": {"images": 10, "fed_back": FED_BACK}},
            "training_images 10, the parameters say 500",
        ),
        (
            NET,
            {"training_data": {"images": 500, "fed_back": FED_BACK}},
            "the parameters say left out",
        ),
        (
            {"uncertainty_set": {"name": "tangent", "radius": 1.0}},
            {
                "uncertainty_set": {"name": "tangent", "radius": 1.0},
                "tangent_planes": {"neighbours": 20, "dimension": 4},
            },
            "tangent_planes.dimension 4, the parameters say 8",
        ),
    ],
)
def test_what_differs_is_told(net: dict[str, Any], changed: dict[str, Any], told: str) -> None:
    found = difference(net, **changed)
    assert found is not None
    assert told in found


def test_what_an_earlier_version_did_not_write_is_not_looked_at() -> None:
    earlier = {"uncertainty_set": {"name": "linf", "radius": 0.1}}
    assert first_difference(earlier, SETTINGS, Net(**NET)) is None
    earlier["uncertainty_set"]["radius"] = 0.3
    assert first_difference(earlier, SETTINGS, Net(**NET)) == (
        "uncertainty_set.radius 0.3, the parameters say 0.1"
    )
