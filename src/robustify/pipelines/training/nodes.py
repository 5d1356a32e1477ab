"""Nodes of the training pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from robustify.objectives import Objective
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
    from dataclasses import asdict
    from functools import partial
    from pathlib import Path

    from robustify.configuration import Net, architecture_of, objective_of, training_of
    from robustify.fingerprint import fingerprint
    from robustify.machine.devices import choose_device, choose_precision
    from robustify.measurement import accuracy
    from robustify.nets import make_net
    from robustify.storage import TrainedNet
    from robustify.tracking.nets import log_epoch
    from robustify.training import Recipe, train
    from robustify.training.checkpoints import Checkpoints

    options = Net(**member)
    architecture = architecture_of(net, options)
    settings: dict[str, Any] = {
        "title": title,
        "seed": seed + options.seed_offset,
        "uncertainty_set": options.uncertainty_set.model_dump(),
        "maximiser": options.maximiser.model_dump(),
        "training": training_of(training, options),
        "objective": objective_of(objective, options),
        "training_data": training_data.provenance,
    }
    if neighbours is not None:
        settings["tangent_planes"] = tangent_planes
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
        objective=_make_objective(settings, training_data, neighbours),
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
    result = next((epoch for epoch in curve if epoch.kept), curve[-1])
    provenance = {**settings, "test_accuracy": result.test_accuracy}
    if result.seen is not None:
        provenance["selection"] = {
            "epoch": result.epoch,
            "epochs": len(curve),
            "held_out": asdict(result.seen),
        }
    return TrainedNet(built, architecture, provenance), pd.DataFrame(
        [epoch.row() for epoch in curve]
    )


def _make_objective(
    settings: dict[str, Any], training_data: Tensors, neighbours: Tensors | None
) -> Objective:
    from robustify.configuration import TANGENT_OBJECTIVE, TANGENT_SET
    from robustify.errors import InputError
    from robustify.maximisers import make_maximiser
    from robustify.objectives import make_objective
    from robustify.tangents import TangentPlanes
    from robustify.uncertainty import make_uncertainty_set

    set_options, options = dict(settings["uncertainty_set"]), dict(settings["objective"])
    if neighbours is not None:
        about = neighbours.provenance["training_data_sha256"]
        if about != training_data.provenance["tensors_sha256"]:
            raise InputError("the stored neighbours are those of other training images")
        bases = TangentPlanes(
            training_data.tensors["images"],
            neighbours.tensors["neighbours"],
            dimension=settings["tangent_planes"]["dimension"],
        )
        if set_options["name"] == TANGENT_SET:
            set_options["bases"] = bases
        if options.get("name") == TANGENT_OBJECTIVE:
            options["bases"] = bases
    return make_objective(
        uncertainty_set=make_uncertainty_set(**set_options),
        maximiser=make_maximiser(**settings["maximiser"]),
        **options,
    )
