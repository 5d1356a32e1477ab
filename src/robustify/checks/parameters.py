"""Experiments out of the run's parameters, and every mistake in them, told at once.

What is wrong is replaced by a stand-in where it is required, so that the rest can be checked, too.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from robustify.checks.spelling import did_you_mean
from robustify.configuration import PLAIN_NAME, Experiment, is_plain_name
from robustify.errors import InputError, shown

# a name that nothing has
STAND_IN, STAND_IN_NET = "?", "stands_in"
_ANY_PART = {"name": STAND_IN}
_ANY_NET = {"uncertainty_set": _ANY_PART}
# what takes the place of a required parameter that is wrong, so that the others can be checked, by its last key
_STAND_INS: dict[str, Any] = {
    "title": "",
    "environment": "",
    "device": "cpu",
    "seed": 0,
    "classes": [],
    "paper": {},
    "name": STAND_IN,
    "data": _ANY_PART,
    "net": _ANY_PART,
    "optimiser": _ANY_PART,
    "schedule": _ANY_PART,
    "uncertainty_set": _ANY_PART,
    "epochs": 1,
    "batch_size": 1,
    "training": {"epochs": 1, "batch_size": 1, "optimiser": _ANY_PART, "schedule": _ANY_PART},
    "objective": {},
    "nets": {STAND_IN_NET: _ANY_NET},
    "sets": {"linf": {"radius": 0.1}},
    "adversarial_set": {"sets": {"linf": {"radius": 0.1}}},
    "epsilons": [0.1],
    "evaluation": {"epsilons": [0.1]},
    "pgd": {"epsilons": [0.1]},
    "norms": {"linf": [0.1]},
    "radii": {"linf": [0.1]},
}
# what takes the place of one that isn't required, lest others miss it
_OPTIONAL_STAND_INS: dict[str, Any] = {"tangent_planes": {}}


class ConfigurationError(InputError):
    """The parameters aren't those of an experiment; names the keys and what would be right.

    Attributes:
        keys: paths of those that are wrong, from the experiment's name.
        readable: the experiments, by name, as far as they can be read, with stand-ins for what is wrong and can't be left
            out; for further checks only.
    """

    def __init__(
        self,
        message: str,
        keys: Collection[str] = (),
        readable: Mapping[str, Experiment] | None = None,
    ) -> None:
        super().__init__(message)
        self.keys = keys
        self.readable = readable or {}

    def explains(self, key: str, complaint: str) -> bool:
        """Return whether a further complaint comes of what is wrong already."""
        return _comes_of(self.keys, key, complaint)


def _comes_of(wrong: Collection[str], key: str, complaint: str) -> bool:
    """Return whether a complaint is of something below a wrong key, or of what stands in for one."""
    stands_in = repr(STAND_IN) in complaint or STAND_IN_NET in complaint
    return stands_in or any(f"{key}.".startswith(f"{other}.") for other in wrong)


def experiments_of(parameters: Mapping[str, Any]) -> dict[str, Experiment]:
    """Return the experiments that the parameter ``experiments`` lists.

    Args:
        parameters: all parameters, as Kedro merged them.

    Raises:
        ConfigurationError: listing every key that is wrong, all at once.
    """
    names = parameters.get("experiments")
    if not isinstance(names, list) or not names:
        raise ConfigurationError("parameter 'experiments' must list at least one experiment")
    found: dict[str, Experiment] = {}
    problems: list[tuple[str, str]] = []
    for name in names:
        if not is_plain_name(name):
            problems.append(("experiments", f"{shown(name)} {PLAIN_NAME}"))
        elif names.count(name) > 1:
            problems.append(("experiments", f"lists {name} twice"))
        elif name not in parameters:
            near = did_you_mean(name, set(parameters) - {"experiments"})
            problems.append((name, f"listed in 'experiments' but has no parameters{near}"))
    for name in dict.fromkeys(name for name in names if is_plain_name(name) and name in parameters):
        if not isinstance(parameters[name], Mapping):
            problems.append((name, "must be a mapping of parameters"))
            continue
        try:
            found[name] = Experiment.model_validate(parameters[name])
        except ValidationError as error:
            problems += _problems(name, error)
            found.update(_rest(name, parameters[name], error))
    problems += [
        (
            f"{name}.{key}",
            "an experiment has that name; choose another, so that tags mean one thing",
        )
        for name, experiment in found.items()
        for net, (key, _) in experiment.all_nets.items()
        if net in names
    ]
    so_far = [key for key, _ in problems]
    problems += [
        (f"{name}.{key}", complaint)
        for name, experiment in found.items()
        for key, complaint in experiment.contradictions()
        if not _comes_of(so_far, f"{name}.{key}", complaint)
    ]
    if problems:
        message = "; ".join(dict.fromkeys(f"{key}: {complaint}" for key, complaint in problems))
        raise ConfigurationError(message, [key for key, _ in problems], found)
    return found


def _rest(
    name: str, parameters: Mapping[str, Any], error: ValidationError
) -> dict[str, Experiment]:
    """Return the experiment with stand-ins for what is wrong, or nothing if that can't be."""
    rest = copy.deepcopy(dict(parameters))
    tried: Counter[tuple[str | int, ...]] = Counter()
    while True:
        for problem in error.errors():
            place = tuple(problem["loc"])
            # what is wrong again is replaced with all that it is part of
            way = place[: len(place) - tried[place]]
            tried[place] += 1
            if not way:
                return {}
            _leave_out(rest, way)
        try:
            return {name: Experiment.model_validate(rest)}
        except ValidationError as another:
            error = another


def _leave_out(parameters: dict[str, Any], place: tuple[str | int, ...]) -> None:
    """Drop what lies at that place or, if it is required, put a stand-in there; or else do so with what it is part of."""
    *way, last = place
    if last == "[key]":
        _replace(parameters, tuple(way), None)
        return
    field = _field_at(place)
    required = field is not None and field.is_required()
    if way and (isinstance(last, int) or (required and last not in _STAND_INS)):
        _leave_out(parameters, tuple(way))
        return
    stand_in = _STAND_INS[str(last)] if required else _OPTIONAL_STAND_INS.get(str(last))
    if field is None and way and way[-1] == "nets":
        stand_in = _ANY_NET
    _replace(parameters, place, stand_in)


def _replace(parameters: dict[str, Any], place: tuple[str | int, ...], stand_in: object) -> None:
    *way, last = place
    try:
        around = functools.reduce(operator.getitem, way, cast(Any, parameters))
        if stand_in is None:
            around.pop(last, None)
        else:
            around[last] = copy.deepcopy(stand_in)
    except (KeyError, IndexError, TypeError, AttributeError):
        # what it is part of has been replaced
        return


def _problems(name: str, error: ValidationError) -> list[tuple[str, str]]:
    return [
        (
            # keys are the user's, too: whatever they hold stays in one line
            " ".join(".".join([name, *map(str, problem["loc"])]).removesuffix(".[key]").split()),
            _complaint(dict(problem)),
        )
        for problem in error.errors()
    ]


def _complaint(problem: dict[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "extra_forbidden":
        known = {field for model in _models_at(problem["loc"]) for field in model.model_fields}
        return f"is unknown{did_you_mean(str(problem['loc'][-1]), known)}"
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in ("model_type", "dict_type"):
        said = "must be a mapping, 'name: value'"
    return f"{said} (got {shown(problem['input'])})"


def _field_at(place: tuple[str | int, ...]) -> FieldInfo | None:
    """Return the field of a model that stands there, or None where the user chooses the key."""
    for model in _models_at(place):
        if place[-1] in model.model_fields:
            return model.model_fields[str(place[-1])]
    return None


def _models_at(place: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """Return the models whose fields could stand where an unknown key of an experiment stands."""
    models: list[type[BaseModel]] = [Experiment]
    for part in place[:-1]:
        inner = [
            found
            for model in models
            if part in model.model_fields
            for found in _models_in(model.model_fields[str(part)].annotation)
        ]
        # a name chosen by the user leads no deeper
        models = inner or models
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]
