"""What a net's descent minimises, with the tangent planes of its training images where it needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustify.configuration import TANGENT_OBJECTIVE, TANGENT_SET
from robustify.errors import InputError
from robustify.maximisers import make_maximiser
from robustify.objectives import Objective, make_objective
from robustify.storage import Tensors
from robustify.tangents import TangentPlanes
from robustify.uncertainty import make_uncertainty_set


def objective_for(
    settings: Mapping[str, Any], training_data: Tensors, neighbours: Tensors | None
) -> Objective:
    """Return the objective on the uncertainty set and with the maximiser that the settings name.

    Args:
        settings: see :func:`robustify.pipelines.training.record.settings_of`.
        training_data: ``images`` and ``labels``.
        neighbours: of the training images, for nets that need their tangent planes.

    Raises:
        InputError: if the neighbours are those of other images, or a name or option is wrong.
    """
    set_options, options = dict(settings["uncertainty_set"]), dict(settings["objective"])
    if neighbours is not None:
        bases = _tangent_planes(settings, training_data, neighbours)
        if set_options["name"] == TANGENT_SET:
            set_options["bases"] = bases
        if options.get("name") == TANGENT_OBJECTIVE:
            options["bases"] = bases
    return make_objective(
        uncertainty_set=make_uncertainty_set(**set_options),
        maximiser=make_maximiser(**settings["maximiser"]),
        **options,
    )


def _tangent_planes(
    settings: Mapping[str, Any], training_data: Tensors, neighbours: Tensors
) -> TangentPlanes:
    about = neighbours.provenance["training_data_sha256"]
    if about != training_data.provenance["tensors_sha256"]:
        raise InputError("the stored neighbours are those of other training images")
    return TangentPlanes(
        training_data.tensors["images"],
        neighbours.tensors["neighbours"],
        dimension=settings["tangent_planes"]["dimension"],
    )
