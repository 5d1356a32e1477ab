"""What a net's file tells of it: what it was trained with, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from robustify.configuration import Net, objective_of, training_of
from robustify.storage import Tensors
from robustify.training import Epoch


def settings_of(
    options: Net,
    *,
    title: str,
    seed: int,
    training: Mapping[str, Any],
    objective: Mapping[str, Any],
    training_data: Tensors,
    tangent_planes: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what a net is trained with.

    Args:
        options: the net's own.
        title: experiment and net, e.g. ``mnist.l2``.
        seed: of the experiment.
        training: the experiment's, see :class:`robustify.configuration.Training`.
        objective: the experiment's, see :class:`robustify.configuration.ObjectiveOptions`.
        training_data: ``images`` and ``labels``; its provenance goes in.
        tangent_planes: of a net that needs them, see :class:`robustify.configuration.TangentPlanes`.
    """
    settings: dict[str, Any] = {
        "title": title,
        "seed": seed + options.seed_offset,
        "uncertainty_set": options.uncertainty_set.model_dump(),
        "maximiser": options.maximiser.model_dump(),
        "training": training_of(training, options),
        "objective": objective_of(objective, options),
        "training_data": training_data.provenance,
    }
    return settings if tangent_planes is None else {**settings, "tangent_planes": tangent_planes}


def provenance_of(settings: Mapping[str, Any], curve: Sequence[Epoch]) -> dict[str, Any]:
    """Return the settings with the test accuracy of the weights that count, and how those were chosen if they were.

    Args:
        settings: see :func:`settings_of`.
        curve: every epoch of the training.
    """
    result = next((epoch for epoch in curve if epoch.kept), curve[-1])
    provenance = {**settings, "test_accuracy": result.test_accuracy}
    if result.seen is not None:
        provenance["selection"] = {
            "epoch": result.epoch,
            "epochs": len(curve),
            "held_out": asdict(result.seen),
        }
    return provenance
