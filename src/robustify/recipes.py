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
    objective_of,
    training_of,
)
from robustify.errors import shown
from robustify.ingestion.specification import images_asked_for

# a net's parameters, as they stand in its provenance
_TRAINED = ("uncertainty_set", "maximiser", "training", "objective")
# as the parameters call it
_NAMES = {"architecture": "net", "images": "training_images"}
# parts with defaults
_MODELS: Mapping[str, type[BaseModel]] = {"training": Training, "objective": ObjectiveOptions}
_MISSING = object()


def recorded(provenance: Mapping[str, Any], architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a net was trained with: set, maximiser, training, objective, architecture, number of images, seed.

    Args:
        provenance: of a net, see :func:`robustify.pipelines.training.nodes.train_net`.
        architecture: its name and options.

    Raises:
        KeyError: if the provenance is that of another version.
    """
    return {
        **{key: provenance[key] for key in _TRAINED},
        "architecture": dict(architecture),
        "images": provenance["training_data"]["images"],
        "seed": provenance["seed"],
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
    }


def first_difference(was: Mapping[str, Any], settings: Mapping[str, Any], net: Net) -> str | None:
    """Return in words the first parameter that a net was trained with and that parameters now have otherwise.

    What is null is as good as left out, and a default as good as given. None if nothing differs, or if another version
    wrote the record and it can't be compared.

    Args:
        was: see :func:`recorded`; keys that an earlier version didn't write aren't looked at.
        settings: the experiment's parameters.
        net: the net's own.
    """
    now = asked_for(settings, net)
    # examples are added to the images of a net that is fed some
    compared = [key for key in now if key in was and not (key == "images" and net.fed_back)]
    try:
        differences = _differences(
            _in_full({key: was[key] for key in compared}),
            _in_full({key: now[key] for key in compared}),
        )
    except (TypeError, ValidationError):
        return None
    key, one, other = next(differences, ("", None, None))
    return f"{key} {_said(one)}, the parameters say {_said(other)}" if key else None


def _in_full(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe with every default, by the parameters' keys."""
    return {
        _NAMES.get(key, key): _MODELS[key](**value).model_dump() if key in _MODELS else value
        for key, value in recipe.items()
    }


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
