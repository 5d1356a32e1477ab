"""Nodes of the ingestion pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import Tensors


def ingest(data: dict[str, Any]) -> tuple[Tensors, Tensors]:
    """Return the training and the test set, each with ``images`` and ``labels``.

    Args:
        data: see :class:`robustify.configuration.Data`.
    """
    from robustify.configuration import Data
    from robustify.ingestion.acquisition import acquire
    from robustify.storage import Tensors

    wanted = Data(**data)
    raw = acquire(
        wanted.name,
        raw_directory=Path(wanted.raw_directory),
        directory=Path(wanted.directory).expanduser() if wanted.directory else None,
    )
    parts = []
    for part, count in (("train", wanted.training_images), ("test", wanted.test_images)):
        tensors = {
            "images": raw.tensors[f"{part}_images"][:count],
            "labels": raw.tensors[f"{part}_labels"][:count],
        }
        provenance = {
            "data": wanted.name,
            "part": part,
            "images": len(tensors["labels"]),
            "data_sha256": raw.provenance["data_sha256"],
        }
        parts.append(Tensors(tensors, provenance))
    return parts[0], parts[1]
