"""Nodes of the training pipeline."""

from __future__ import annotations

from dataclasses import asdict
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
    *,
    title: str,
) -> tuple[TrainedNet, pd.DataFrame]:
    """Train one net and return it with its learning curve.

    Args:
        training_data: ``images`` and ``labels``.
        test_data: ``images`` and ``labels``; measured after every epoch, chosen by nothing.
        net: name and options of the architecture.
        training: see :class:`robustify.configuration.Training`.
        objective: see :class:`robustify.configuration.ObjectiveOptions`.
        member: see :class:`robustify.configuration.Net`.
        seed: of the experiment.
        device: ``auto``, ``cpu`` or ``cuda``.
        title: experiment and net, e.g. ``mnist.l2``.
    """
    from functools import partial
    from pathlib import Path

    from robustify.checkpoints import Checkpoints
    from robustify.configuration import Net
    from robustify.devices import choose_device, choose_precision
    from robustify.fingerprint import fingerprint
    from robustify.maximisers import make_maximiser
    from robustify.measurement import accuracy
    from robustify.nets import make_net
    from robustify.objectives import WorstCase
    from robustify.storage import TrainedNet
    from robustify.tracking import log_epoch
    from robustify.training import Recipe, train
    from robustify.uncertainty import make_uncertainty_set

    options = Net(**member)
    settings: dict[str, Any] = {
        "title": title,
        "seed": seed + options.seed_offset,
        "uncertainty_set": options.uncertainty_set.model_dump(),
        "maximiser": options.maximiser.model_dump(),
        "training": training,
        "objective": objective,
        "training_data": training_data.provenance,
    }
    recipe, where = Recipe(**training), choose_device(device)
    key = fingerprint(
        {
            **settings,
            "net": net,
            "test_data": test_data.provenance,
            "device": where.type,
            "precision": str(choose_precision(recipe.precision, where)),
        }
    )
    built = make_net(**net)
    curve = train(
        built,
        training_data.tensors["images"],
        training_data.tensors["labels"],
        objective=WorstCase(
            uncertainty_set=make_uncertainty_set(**settings["uncertainty_set"]),
            maximiser=make_maximiser(**settings["maximiser"]),
            **objective,
        ),
        recipe=recipe,
        seed=settings["seed"],
        evaluate=partial(
            accuracy, images=test_data.tensors["images"], labels=test_data.tensors["labels"]
        ),
        device=where,
        title=title,
        on_epoch=partial(log_epoch, title),
        checkpoints=Checkpoints(Path("data/06_models/checkpoints") / title / key[:16]),
    )
    provenance = {**settings, "test_accuracy": curve[-1].test_accuracy}
    return TrainedNet(built, net, provenance), pd.DataFrame([asdict(epoch) for epoch in curve])
