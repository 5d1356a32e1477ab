"""What a net was trained with, as its file tells it and as parameters ask for it, and where the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from robustify.configuration import (
    Data,
    Net,
    ObjectiveOptions,
    Training,
    architecture_of,
    needs_tangent_planes,
    objective_of,
    training_of,
)
from robustify.errors import shown
from robustify.ingestion.specification import images_asked_for

# a net's parameters, as they stand in its provenance
_TRAINED = ("uncertainty_set", "maximiser", "training", "objective")
# as the parameters call it
_NAMES = {"architecture": "net", "images": "training_images"}
_NOT_OF_EVERY_NET = ("fed_back", "tangent_planes")
# parts with defaults
_MODELS: Mapping[str, type[BaseModel]] = {"training": Training, "objective": ObjectiveOptions}
_MISSING = object()


def recorded(provenance: Mapping[str, Any], architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a net was trained with: set, maximiser, training, objective, architecture, number of images, seed.

    Where examples were fed back, or tangent planes asked for, it is said by which parameters.

    Args:
        provenance: of a net, see :mod:`robustify.pipelines.training.record`.
        architecture: its name and options.

    Raises:
        InputError: if a stored net's provenance is that of another version.
    """
    data = provenance["training_data"]
    return {
        **{key: provenance[key] for key in _TRAINED},
        "architecture": dict(architecture),
        "images": data.get("images"),
        "seed": provenance["seed"],
        **_given(fed_back=data.get("fed_back"), tangent_planes=provenance.get("tangent_planes")),
    }


def asked_for(settings: Mapping[str, Any], net: Net) -> dict[str, Any]:
    """Return what parameters ask a net to be trained with, under the same keys as :func:`recorded`.

    Args:
        settings: the experiment's parameters.
        net: the net's own.
    """
    return {
        "images": images_asked_for(Data(**settings["data"]))[0],
        "architecture": architecture_of(settings["net"], net),
        "uncertainty_set": net.uncertainty_set.model_dump(),
        "maximiser": net.maximiser.model_dump(),
        "training": training_of(settings["training"], net),
        "objective": objective_of(settings["objective"], net),
        "seed": settings["seed"] + net.seed_offset,
        **_given(
            fed_back=net.fed_back and net.fed_back.model_dump(),
            tangent_planes=settings.get("tangent_planes")
            if needs_tangent_planes(settings["objective"], net)
            else None,
        ),
    }


def _given(**parts: Any) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part is not None}


def first_difference(was: Mapping[str, Any], settings: Mapping[str, Any], net: Net) -> str | None:
    """Return in words the first parameter that a net was trained with and that parameters now have otherwise.

    What is null is as good as left out, and a default as good as given.

    Args:
        was: see :func:`recorded`; of what an earlier version didn't write, only what every net has isn't looked at.
        settings: the experiment's parameters.
        net: the net's own.
    """
    now = asked_for(settings, net)
    written = {key: value for key, value in now.items() if key in was or key in _NOT_OF_EVERY_NET}
    parts = {
        _NAMES.get(key, key): _in_full(key, was.get(key), written.get(key))
        for key in dict.fromkeys((*written, *was))
    }
    differences = _differences(
        {name: one for name, (one, _) in parts.items()},
        {name: other for name, (_, other) in parts.items()},
    )
    name, one, other = next(differences, ("", None, None))
    return f"{name} {_said(one)}, the parameters say {_said(other)}" if name else None


def _in_full(key: str, was: Any, now: Any) -> tuple[Any, Any]:
    """Return both values of a part with every default, or as they are where another version wrote one."""
    if key not in _MODELS:
        return was, now
    try:
        return _MODELS[key](**was).model_dump(), _MODELS[key](**now).model_dump()
    except (TypeError, ValidationError):
        return was, now


def _differences(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*now, *was)):
        one, other = (_MISSING if side.get(name) is None else side[name] for side in (was, now))
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}", one, other


def _said(value: object) -> str:
    return "left out" if value is _MISSING else shown(value)
