"""Whether the nets that lie there were trained as the parameters say, where a run measures them and doesn't train them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify.checks.missing_inputs import maker_of
from robustify.configuration import Experiment, Net
from robustify.datasets.safetensors import NetDataset
from robustify.placement import dataset_of
from robustify.recipes import first_difference, recorded


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
    return [
        *_of_this_seed(pipeline, catalog, experiments, pipelines),
        *_of_every_seed(pipeline, catalog, experiments),
    ]


def _of_this_seed(
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    experiments: Mapping[str, Experiment],
    pipelines: Mapping[str, Pipeline],
) -> Iterator[str]:
    inputs, outputs = pipeline.inputs(), pipeline.all_outputs()
    found: dict[tuple[str, str | None], list[str]] = {}
    for name, experiment in experiments.items():
        for net, (_, options) in experiment.all_nets.items():
            title, model = f"{name}.{net}", f"{name}.{net}.model"
            if model in outputs or not any(read.startswith(f"{title}.") for read in inputs):
                continue
            difference = _difference(catalog, model, experiment, options)
            if difference is not None:
                found.setdefault((difference, maker_of(model, pipelines)), []).append(title)
    for (difference, maker), titles in found.items():
        yield (
            f"trained with {difference}: {', '.join(titles)}; train again by kedro run --pipeline={maker} "
            f"--namespaces={','.join(titles)} with the same --env and --params, or give the parameters of that training"
        )


def _of_every_seed(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], experiments: Mapping[str, Experiment]
) -> Iterator[str]:
    """Yield a complaint a seed whose nets are gathered and of which one was trained otherwise."""
    inputs = pipeline.inputs()
    for name, experiment in experiments.items():
        for seed in experiment.seeds:
            of_seed = experiment.model_copy(update={"seed": seed})
            for net, options in experiment.nets.items():
                model = dataset_of(name, seed, f"{net}.model")
                if model not in inputs:
                    continue
                difference = _difference(catalog, model, of_seed, options)
                if difference is not None:
                    yield (
                        f"trained with {difference}: {name}.{net} of seed {seed}; run that seed again by kedro run --pipeline={name}_robust "
                        f"--params={name}.seed={seed} with the same --env and other --params, or give the parameters of that training"
                    )
                    break


def _difference(
    catalog: CatalogProtocol[Any, Any], model: str, experiment: Experiment, net: Net
) -> str | None:
    dataset = catalog.get(model) if catalog.exists(model) else None
    if not isinstance(dataset, NetDataset):
        return None
    provenance = dataset.provenance()
    try:
        stored = recorded(provenance, provenance["architecture"])
    except (KeyError, TypeError):
        # made by another version; whoever loads it says so
        return None
    return first_difference(stored, experiment.model_dump(exclude_unset=True), net)
