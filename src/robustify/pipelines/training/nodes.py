"""Nodes of the training pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


def train_net(
    training_data: Tensors,
    test_data: Tensors,
    net: dict[str, Any],
    training: dict[str, Any],
    objective: dict[str, Any],
    member: dict[str, Any],
    seed: int,
    device: str,
    neighbours: Tensors | None = None,
    tangent_planes: dict[str, Any] | None = None,
    *,
    title: str,
) -> tuple[TrainedNet, pd.DataFrame]:
    """Train one net and return it with its learning curve.

    Args:
        training_data: ``images`` and ``labels``; what ``training`` holds out is among them.
        test_data: ``images`` and ``labels``; measured after every epoch, chosen by nothing.
        net: name and options of the experiment's architecture.
        training: see :class:`robustify.configuration.Training`.
        objective: the experiment's, see :class:`robustify.configuration.ObjectiveOptions`.
        member: see :class:`robustify.configuration.Net`.
        seed: of the experiment.
        device: ``auto``, ``cpu`` or ``cuda``.
        neighbours: of the training images, for nets that need their tangent planes.
        tangent_planes: see :class:`robustify.configuration.TangentPlanes`.
        title: experiment and net, e.g. ``mnist.l2``.
    """
    from functools import partial
    from pathlib import Path

    from robustify.configuration import Net, architecture_of
    from robustify.fingerprint import fingerprint
    from robustify.machine.devices import choose_device, choose_precision
    from robustify.measurement.accuracies import accuracy
    from robustify.nets import make_net
    from robustify.pipelines.training.objective import objective_for
    from robustify.pipelines.training.record import provenance_of, settings_of
    from robustify.storage import TrainedNet
    from robustify.tracking.nets import log_epoch
    from robustify.training import Recipe, train
    from robustify.training.checkpoints import Checkpoints

    options = Net(**member)
    architecture = architecture_of(net, options)
    settings = settings_of(
        options,
        title=title,
        seed=seed,
        training=training,
        objective=objective,
        training_data=training_data,
        tangent_planes=tangent_planes if neighbours else None,
    )
    recipe, where = Recipe.of(settings["training"]), choose_device(device)
    key = fingerprint(
        {
            **settings,
            "net": architecture,
            "neighbours": neighbours and neighbours.provenance["tensors_sha256"],
            "test_data": test_data.provenance,
            "device": where.type,
            "precision": str(choose_precision(recipe.precision, where)),
        }
    )
    built = make_net(**architecture)
    curve = train(
        built,
        training_data.tensors["images"],
        training_data.tensors["labels"],
        objective=objective_for(settings, training_data, neighbours),
        recipe=recipe,
        seed=settings["seed"],
        evaluate=partial(
            accuracy, images=test_data.tensors["images"], labels=test_data.tensors["labels"]
        ),
        device=where,
        title=title,
        on_epoch=partial(log_epoch, title),
        checkpoints=Checkpoints(
            Path("data/06_models/checkpoints") / title / key[:16], fingerprint=key
        ),
    )
    return (
        TrainedNet(built, architecture, provenance_of(settings, curve)),
        pd.DataFrame([epoch.row() for epoch in curve]),
    )
