"""Whether the nets that lie there were trained as the parameters say, where a run measures them and doesn't train them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import ValidationError

from robustify.checks.missing_inputs import maker_of
from robustify.checks.spelling import shown
from robustify.checks.stored_data import images_asked_for
from robustify.configuration import (
    Experiment,
    Net,
    ObjectiveOptions,
    Training,
    architecture_of,
    objective_of,
    training_of,
)
from robustify.datasets.safetensors import NetDataset

_MISSING = object()


def stale_nets(
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    experiments: Mapping[str, Experiment],
    pipelines: Mapping[str, Pipeline],
) -> list[str]:
    """Return a complaint for the nets that are measured or reported on and were trained otherwise than the parameters say.

    Args:
        pipeline: what is to be run; what it trains itself isn't looked at.
        catalog: says where nets lie.
        experiments: by name.
        pipelines: all that there are, by name, one of which trains the net.

    Raises:
        InputError: if a file isn't readable.
    """
    inputs, outputs = pipeline.inputs(), pipeline.all_outputs()
    found: dict[tuple[str, str | None], list[str]] = {}
    for name, experiment in experiments.items():
        for net, (_, options) in experiment.all_nets.items():
            title, model = f"{name}.{net}", f"{name}.{net}.model"
            if model in outputs or not any(read.startswith(f"{title}.") for read in inputs):
                continue
            difference = _first_difference(catalog, model, experiment, options)
            if difference is not None:
                found.setdefault((difference, maker_of(model, pipelines)), []).append(title)
    return [
        f"trained with {difference}: {', '.join(titles)}; train again by kedro run --pipeline={maker} "
        f"--namespaces={','.join(titles)} with the same --env and --params, or give the parameters of that training"
        for (difference, maker), titles in found.items()
    ]


def _first_difference(
    catalog: CatalogProtocol[Any, Any], model: str, experiment: Experiment, net: Net
) -> str | None:
    dataset = catalog.get(model) if catalog.exists(model) else None
    if not isinstance(dataset, NetDataset):
        return None
    try:
        stored = _stored(dataset.provenance(), net)
    except (KeyError, TypeError, ValidationError):
        # made by another version; whoever loads it says so
        return None
    key, was, now = next(_differences(stored, _asked(experiment, net)), ("", None, None))
    return f"{key} {_said(was)}, the parameters say {_said(now)}" if key else None


def _asked(experiment: Experiment, net: Net) -> dict[str, Any]:
    shared = experiment.training.model_dump(exclude_unset=True)
    return {
        "seed": experiment.seed + net.seed_offset,
        "uncertainty_set": net.uncertainty_set.model_dump(),
        "maximiser": net.maximiser.model_dump(),
        **_in_full(training_of(shared, net), objective_of(experiment.objective.model_dump(), net)),
        "net": architecture_of(experiment.net.model_dump(), net),
        "training_images": _MISSING if net.fed_back else images_asked_for(experiment.data)[0],
    }


def _stored(provenance: Mapping[str, Any], net: Net) -> dict[str, Any]:
    images = dict(provenance["training_data"]).get("images", _MISSING)
    return {
        **{name: provenance[name] for name in ("seed", "uncertainty_set", "maximiser")},
        **_in_full(provenance["training"], provenance["objective"]),
        "net": provenance["architecture"],
        "training_images": _MISSING if net.fed_back else images,
    }


def _in_full(training: Mapping[str, Any], objective: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "training": Training(**training).model_dump(),
        "objective": ObjectiveOptions(**objective).model_dump(),
    }


def _differences(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs, as the parameters' keys have it; null is as good as left out."""
    for name in dict.fromkeys((*now, *was)):
        one, other = (_MISSING if side.get(name) is None else side[name] for side in (was, now))
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _differences(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}", one, other


def _said(value: object) -> str:
    return "left out" if value is _MISSING else shown(value)
