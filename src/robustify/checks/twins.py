"""Nets that would be trained alike, seed included, and so come out the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from robustify.checks.complaints import Problems
from robustify.configuration import BASELINE, CONTROL, Experiment, Training
from robustify.maximisers import MAXIMISERS
from robustify.nets import NETS
from robustify.objectives import OBJECTIVES
from robustify.recipes import asked_for
from robustify.training.optimisers import OPTIMISERS
from robustify.training.schedules import SCHEDULES
from robustify.uncertainty import SETS

_REGISTRIES: Mapping[str, Mapping[str, Callable[..., object]]] = {
    "uncertainty_set": SETS,
    "maximiser": MAXIMISERS,
    "objective": OBJECTIVES,
    "architecture": NETS,
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
}


def twins(experiment: Experiment) -> Problems:
    """Yield every net that is another one again, in whichever group either stands; a control like its baseline is told elsewhere.

    Args:
        experiment: with data that are known.
    """
    settings = experiment.model_dump()
    recipes = {
        name: (key, _in_full(asked_for(settings, net)))
        for name, (key, net) in experiment.all_nets.items()
    }
    for (one, (key, recipe)), (other, (twin, same)) in itertools.combinations(recipes.items(), 2):
        if recipe == same and {one, other} != {BASELINE, CONTROL}:
            yield (
                twin,
                f"is {key} again, its seed included; it would be the same net: change it, or leave it out",
            )


def _in_full(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a net is trained with, every default filled in."""
    training = Training(**recipe["training"]).model_dump()
    return {
        **_filled(recipe),
        "training": _filled(training),
    }


def _filled(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _with_defaults(_REGISTRIES[key], part) if key in _REGISTRIES else part
        for key, part in parts.items()
    }


def _with_defaults(
    registry: Mapping[str, Callable[..., object]], options: Mapping[str, Any]
) -> dict[str, Any]:
    given = {option: value for option, value in options.items() if value is not None}
    name = given.get("name")
    part = registry.get(name) if isinstance(name, str) else None
    if part is None:
        # said elsewhere
        return given
    parameters = signature(part).parameters.values()
    defaults = {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default is not Parameter.empty
    }
    return {**defaults, **given}
