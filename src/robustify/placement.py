"""Where an experiment's outputs lie: seed 0 in the experiment's folder, any other in ``seed_N`` under it.

Settings that are to stand beside the others, not in their place, name a folder of their own, which
comes between the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from robustify.configuration import Experiment

HOME_SEED = 0
PATTERN = "{experiment}."
# what all seeds and settings have in common, as the catalog's patterns name it
DATA = (
    "{experiment}.training_data",
    "{experiment}.test_data",
    "{experiment}.neighbours",
)
# what all seeds of the same settings have in common
OF_ALL_SEEDS = (
    "{experiment}.across_seeds",
    "{experiment}.across_seeds_details",
    "{experiment}.across_seeds_figures",
)

Catalog = Mapping[str, Mapping[str, Any]]


def folder_of(experiment: str, seed: int, folder: str | None = None) -> PurePosixPath:
    """Return an experiment's folder for one seed, relative to a layer of ``data/``.

    Args:
        experiment: its name.
        seed: of the experiment.
        folder: of its settings, if they have one of their own.
    """
    place = PurePosixPath(experiment, folder or "")
    return place if seed == HOME_SEED else place / f"seed_{seed}"


def dataset_of(experiment: str, seed: int, dataset: str) -> str:
    """Return the name under which the catalog has one seed's data set, whichever seed the run has."""
    return f"{experiment}.seed_{seed}.{dataset}"


def seed_of(dataset: str) -> tuple[str, int] | None:
    """Return experiment and seed of a name that :func:`dataset_of` made, or None of any other name."""
    found = re.match(r"(\w+)\.seed_(\d+)\.", dataset)
    return (found[1], int(found[2])) if found else None


def place(catalog: Catalog, experiments: Mapping[str, Experiment]) -> dict[str, Any]:
    """Return the catalog with the data sets of every seed, and of settings with a folder, in a folder of their own.

    Kedro lets the pattern with more literal characters win, so those that name an experiment go before
    those of all experiments.

    Args:
        catalog: configuration of the data sets, by name or pattern.
        experiments: by name; each has its own seed, and those that its pipeline ``NAME_seeds`` reads.
    """
    return {**catalog, **dict(_placed(catalog, experiments))}


def _placed(
    catalog: Catalog, experiments: Mapping[str, Experiment]
) -> Iterator[tuple[str, dict[str, Any]]]:
    for pattern, configuration in catalog.items():
        if not pattern.startswith(PATTERN) or pattern in DATA or "filepath" not in configuration:
            continue
        dataset = pattern.removeprefix(PATTERN)
        for name, experiment in experiments.items():
            common = pattern in OF_ALL_SEEDS
            own = HOME_SEED if common else experiment.seed
            if own != HOME_SEED or experiment.folder:
                yield f"{name}.{dataset}", _moved(configuration, name, experiment, own)
            for seed in () if common else experiment.seeds:
                yield dataset_of(name, seed, dataset), _moved(configuration, name, experiment, seed)


def _moved(
    configuration: Mapping[str, Any], name: str, experiment: Experiment, seed: int
) -> dict[str, Any]:
    folder = str(folder_of(name, seed, experiment.folder))
    return {**configuration, "filepath": configuration["filepath"].replace("{experiment}", folder)}
