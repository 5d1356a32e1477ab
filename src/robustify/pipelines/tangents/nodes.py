"""Nodes of the tangents pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import Tensors


def find_neighbours(training_data: Tensors, tangent_planes: dict[str, Any]) -> Tensors:
    """Return ``neighbours``, the indices of every training image's nearest images of its class.

    Args:
        training_data: ``images`` and ``labels``.
        tangent_planes: see :class:`robustify.configuration.TangentPlanes`.
    """
    from robustify.configuration import TangentPlanes
    from robustify.storage import Tensors
    from robustify.tangents import nearest_neighbours

    count = TangentPlanes(**tangent_planes).neighbours
    found = nearest_neighbours(
        training_data.tensors["images"], training_data.tensors["labels"], count
    )
    provenance = {
        "neighbours": count,
        "training_data": training_data.provenance,
        "training_data_sha256": training_data.provenance["tensors_sha256"],
    }
    return Tensors({"neighbours": found}, provenance)
