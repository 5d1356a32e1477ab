"""Whether what a run reads and doesn't make lies there: else it would show when what comes before is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify.placement import seed_of

PARAMETERS = ("parameters", "params:")


def missing_inputs(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], pipelines: Mapping[str, Pipeline]
) -> list[str]:
    """Return a complaint for every seed that isn't run yet and every data set that isn't made yet, with commands that make them.

    Args:
        pipeline: what is to be run.
        catalog: says where data lie.
        pipelines: all that there are, by name. What none of them makes is left to Kedro.
    """
    absent = [
        name
        for name in sorted(pipeline.inputs())
        if not name.startswith(PARAMETERS) and not catalog.exists(name)
    ]
    return [*_seeds(absent), *_made_by_others(absent, pipelines)]


def _seeds(absent: list[str]) -> Iterator[str]:
    missing = sorted({found for found in map(seed_of, absent) if found is not None})
    if missing:
        commands = "; ".join(
            f"kedro run --pipeline={experiment}_robust --params={experiment}.seed={seed}"
            for experiment, seed in missing
        )
        yield f"not run yet: {', '.join(f'{name} with seed {seed}' for name, seed in missing)}; make them by {commands}, with the same --env and other --params"


def _made_by_others(absent: list[str], pipelines: Mapping[str, Pipeline]) -> Iterator[str]:
    makers: dict[str, list[str]] = {}
    for name in absent:
        maker = maker_of(name, pipelines)
        if maker is not None:
            makers.setdefault(maker, []).append(name)
    for maker, names in makers.items():
        which = "it" if len(names) == 1 else "them"
        yield (
            f"not made yet: {', '.join(names)}; make {which} by kedro run --pipeline={maker}, "
            "with the same --env and --params"
        )


def maker_of(dataset: str, pipelines: Mapping[str, Pipeline]) -> str | None:
    """Return a pipeline that makes a data set, its experiment's own one before all others."""
    own = f"{dataset.partition('.')[0]}_robust"
    named = sorted(pipelines, key=lambda name: (name != own, name == "__default__", name))
    return next((name for name in named if dataset in pipelines[name].all_outputs()), None)
