"""Whether what a run makes can be written where it belongs: else it would show when it is made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline


def unwritable_outputs(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> list[str]:
    """Return a complaint for every place of an output that can't be written.

    Looked at are data sets that say what their ``PLACE`` is, a ``file`` or a ``folder``, as those of
    :mod:`robustify.datasets` do; a user's others may write what and where they like.

    Args:
        pipeline: what is to be run.
        catalog: says where data lie.
    """
    datasets = (catalog.get(name) for name in sorted(pipeline.all_outputs()) if name in catalog)
    places = [
        (Path(dataset._filepath), dataset.PLACE)
        for dataset in datasets
        if dataset is not None and hasattr(dataset, "PLACE")
    ]
    return list(dict.fromkeys(complaint for place in places for complaint in _problems(*place)))


def _problems(path: Path, kind: str) -> Iterator[str]:
    if kind == "file" and path.is_dir():
        yield f"{path} is a folder, a file is to be written there; remove it"
        return
    folder = path if kind == "folder" else path.parent
    nearest = next((each for each in (folder, *folder.parents) if each.exists()), Path())
    if not nearest.is_dir():
        yield f"{nearest} is a file, a folder is needed there; remove it"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield f"{nearest} can't be written; make it writable"
