"""Nets and trainings that parameters name: parts that are known, and fit the data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from robustify.checks.complaints import Options, Problems, problem_of, problems_of_part
from robustify.checks.subject import Subject
from robustify.configuration import Training
from robustify.errors import InputError, shown
from robustify.ingestion.specification import images_asked_for
from robustify.nets import NETS, make_net
from robustify.training.optimisers import OPTIMISERS, make_descent
from robustify.training.recipe import Recipe
from robustify.training.schedules import SCHEDULES, make_schedule


def problems_of_net(subject: Subject, key: str, architecture: Mapping[str, Any]) -> Problems:
    """Yield what is wrong with an architecture, which must take images of the data.

    Args:
        subject: whose parameters they are.
        key: of the architecture.
        architecture: its name and options.
    """
    yield from problems_of_part(
        key, NETS, architecture, partial(_see_images, subject), null_drops=True
    )


def _see_images(subject: Subject, architecture: Mapping[str, Any]) -> None:
    net = without_memory(architecture)
    if subject.data is None:
        return
    try:
        net(torch.zeros(2, *subject.data.image_shape, device="meta"))
    except (RuntimeError, InputError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{architecture['name']!r} takes no images of shape {subject.data.image_shape}, "
            f"which {subject.data.name} has ({reason})"
        ) from error


def problems_of_training(
    subject: Subject, key: str, training: Training, architecture: Mapping[str, Any]
) -> Problems:
    """Yield what is wrong with a training of nets of an architecture.

    Args:
        subject: whose parameters they are.
        key: of the training.
        training: its parameters.
        architecture: name and options.
    """
    yield from problem_of(key, partial(Recipe.of, training.model_dump()))
    yield from _problems_of_descent(key, training, architecture)
    yield from _problems_of_images(subject, key, training, architecture)


def _problems_of_descent(key: str, training: Training, architecture: Mapping[str, Any]) -> Problems:
    """Yield what is wrong with optimiser and schedule."""

    def descend(optimiser: Options) -> None:
        try:
            net = without_memory(architecture)
        except InputError:
            # said of the net already
            net = nn.Conv2d(1, 1, 1)
        make_descent(net, steps=1, steps_per_epoch=1, **optimiser)

    def fall(schedule: Options) -> None:
        make_schedule(steps=1, steps_per_epoch=1, **_without_null(schedule))

    yield from problems_of_part(
        f"{key}.optimiser",
        OPTIMISERS,
        training.optimiser.model_dump(),
        descend,
        null_drops=True,
    )
    yield from problems_of_part(
        f"{key}.schedule",
        SCHEDULES,
        training.schedule.model_dump(),
        fall,
        given=("name", "steps", "steps_per_epoch"),
        null_drops=True,
    )


def _problems_of_images(
    subject: Subject, key: str, training: Training, architecture: Mapping[str, Any]
) -> Problems:
    """Yield what doesn't fit the data: too many images held out, too large a shift, a last batch of one image."""
    if subject.data is None:
        return
    classes = len(subject.data.train_class_counts)
    of_every_class = subject.data.images_of_every_class(subject.experiment.data.training_images)
    most = max(of_every_class - 1, 0) * classes
    if training.held_out > most:
        yield (
            f"{key}.held_out",
            f"is {training.held_out}; there may be {most} at most, in equal parts of each class",
        )
    else:
        yield from _last_batch(subject, key, training, architecture)
    side = min(subject.data.image_shape[1:])
    if training.translation >= side:
        yield (
            f"{key}.translation",
            f"is {training.translation}; images of {subject.data.name} are {side} pixels wide, so at most {side - 1}",
        )


def _last_batch(
    subject: Subject, key: str, training: Training, architecture: Mapping[str, Any]
) -> Problems:
    """A batch of one image has no variance that batch normalisation could divide features by."""
    if subject.data is None:
        return
    trained_on = images_asked_for(subject.experiment.data)[0] - training.held_out
    if (trained_on - 1) % training.batch_size != 0:
        return
    try:
        net = without_memory(architecture).train()
        net(torch.zeros(1, *subject.data.image_shape, device="meta"))
    except (InputError, RuntimeError):
        # said of the net already
        return
    except ValueError:
        yield (
            f"{key}.batch_size",
            (
                f"is {training.batch_size}, which leaves a single one of {trained_on} images for the last batch; "
                if training.batch_size > 1
                else "is 1; "
            )
            + f"{architecture['name']!r} normalises over a batch, so choose another",
        )


def without_memory(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the net with weights that take no memory: what it could be trained with, its first node finds out."""
    name = architecture.get("name")
    if not isinstance(name, str):
        raise InputError(f"{shown(name)} names no net")
    with torch.device("meta"):
        return make_net(**architecture).eval()


def _without_null(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
