"""Whether what a run makes can be written where it belongs: else it would show when it is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify.datasets.atomic import AtomicFiguresDataset


def unwritable_outputs(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> list[str]:
    """Return a complaint for every place of an output that can't be written.

    Args:
        pipeline: what is to be run.
        catalog: says where data lie.
    """
    places = (
        (Path(path), isinstance(dataset, AtomicFiguresDataset))
        for name in sorted(pipeline.all_outputs())
        if name in catalog
        for dataset in [catalog.get(name)]
        if (path := getattr(dataset, "_filepath", None)) is not None
    )
    return list(dict.fromkeys(text for place in places for text in _problems(*place)))


def _problems(path: Path, is_folder: bool) -> Iterator[str]:
    if path.is_dir() and not is_folder:
        yield f"{path} is a folder, a file is to be written there; remove it"
        return
    folder = path if is_folder else path.parent
    nearest = next((each for each in (folder, *folder.parents) if each.exists()), Path())
    if not nearest.is_dir():
        yield f"{nearest} is a file, a folder is needed there; remove it"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield f"{nearest} can't be written; make it writable"
