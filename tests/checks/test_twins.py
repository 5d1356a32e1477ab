"""A net that would be another one again is told before either is trained, however it is written."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from robustify.checks.preflight import problems_of
from robustify.configuration import Experiment

from ..test_configuration import load

L2 = {"seed_offset": 1, "uncertainty_set": {"name": "l2", "radius": 1.2}}


def told(parameters: dict[str, Any]) -> list[str]:
    found = problems_of("mnist", Experiment(**parameters["mnist"]))
    return [f"{key} {complaint}" for key, complaint in found]


@pytest.fixture
def parameters() -> dict[str, Any]:
    return copy.deepcopy(load("base"))


@pytest.mark.parametrize(
    "spelled",
    [
        {},
        {"uncertainty_set": {"name": "l2", "radius": 1.2, "step": "box_aware"}},
        {"maximiser": {"name": "steepest_ascent"}},
        {"objective": {"name": "worst_case"}},
        {"objective": {"label_smoothing": 0.0}},
        {"net": {}},
        {"training": {"held_out": 0, "averaging": 0.0}},
        {"training": {"optimiser": None}},
    ],
    ids=str,
)
@pytest.mark.parametrize("group", ["nets", "objectives", "readings"])
def test_the_same_net_is_known_in_every_group_and_spelling(
    parameters: dict[str, Any], group: str, spelled: dict[str, Any]
) -> None:
    mnist = parameters["mnist"]
    own = {**L2, **spelled}
    if spelled.get("training", {}).get("optimiser", 0) is None:
        own["training"] = {"optimiser": dict(mnist["training"]["optimiser"], dampening=0.0)}
    place = mnist["nets"] if group == "nets" else mnist[group]["nets"]
    place["copy"] = own
    key = "mnist.nets.copy" if group == "nets" else f"mnist.{group}.nets.copy"
    assert told(parameters) == [
        f"{key} is nets.l2 again, its seed included; it would be the same net: change it, or leave it out"
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"seed_offset": 2},
        {"uncertainty_set": {"name": "l2", "radius": 1.3}},
        {"uncertainty_set": {"name": "l2", "radius": 0.9, "step": "unclipped"}},
        {"maximiser": {"name": "projected_gradient", "steps": 3}},
        {"objective": {"label_smoothing": 0.1}},
        {"training": {"epochs": 3}},
        {"training": {"schedule": {"name": "constant"}}},
        {"fed_back": {"name": "linf", "radius": 0.1}},
    ],
    ids=str,
)
def test_a_net_that_differs_in_anything_is_another(
    parameters: dict[str, Any], other: dict[str, Any]
) -> None:
    parameters["mnist"]["nets"]["copy"] = {**L2, **other}
    assert not [complaint for complaint in told(parameters) if "again" in complaint]
