"""Whether the images that lie there are as many as the parameters ask for, where a run doesn't ingest them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify.configuration import Experiment
from robustify.datasets.safetensors import TensorsDataset
from robustify.ingestion.specification import images_asked_for


def stale_data(
    pipeline: Pipeline,
    catalog: CatalogProtocol[Any, Any],
    experiments: Mapping[str, Experiment],
) -> list[str]:
    """Return a complaint for every stored training or test set of another size than its experiment's parameters say.

    Args:
        pipeline: what is to be run; what it makes itself isn't looked at.
        catalog: says where data lie.
        experiments: by name.

    Raises:
        InputError: if a file isn't readable.
    """
    return [
        f"{name} has {stored:,} images, the parameters ask for {asked:,}; "
        f"make it again by kedro run --pipeline={experiment}_robust --nodes={experiment}.ingest with the same --env and --params"
        for experiment, parameters in experiments.items()
        for name, asked in _asked(experiment, parameters)
        if name in pipeline.inputs() and catalog.exists(name)
        for stored in _stored(catalog, name)
        if stored != asked
    ]


def _asked(experiment: str, parameters: Experiment) -> Iterator[tuple[str, int]]:
    training_images, test_images = images_asked_for(parameters.data)
    yield f"{experiment}.training_data", training_images
    yield f"{experiment}.test_data", test_images


def _stored(catalog: CatalogProtocol[Any, Any], name: str) -> Iterator[int]:
    dataset = catalog.get(name)
    if isinstance(dataset, TensorsDataset):
        images = dataset.provenance().get("images")
        if isinstance(images, int):
            yield images
