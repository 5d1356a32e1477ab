"""Makes every part that an experiment's parameters name, so that mistakes show before long work starts."""

from __future__ import annotations

import math

import torch

from robustify.configuration import Experiment
from robustify.devices import choose_device
from robustify.errors import InputError
from robustify.ingestion.specification import specification_of
from robustify.maximisers import make_maximiser
from robustify.nets import make_net
from robustify.objectives import WorstCase
from robustify.optimisers import make_descent
from robustify.uncertainty import NormBall, UncertaintySet, make_uncertainty_set


def check(name: str, experiment: Experiment) -> None:
    """Check that every name is known and every value in range.

    Args:
        name: of the experiment.
        experiment: its parameters.

    Raises:
        InputError: naming the parameter and what would be right.
    """
    specification = specification_of(experiment.data.name)
    dimensions = math.prod(specification.image_shape)
    classes = len(specification.train_class_counts)
    if len(experiment.classes) != classes:
        raise InputError(
            f"{name}.classes has {len(experiment.classes)} names; {experiment.data.name} has {classes}"
        )
    choose_device(experiment.device)
    net = make_net(**experiment.net.model_dump()).eval()
    try:
        net(torch.zeros(2, *specification.image_shape))
    except (RuntimeError, InputError) as error:
        raise InputError(
            f"{name}.net {experiment.net.name!r} takes no images of shape "
            f"{specification.image_shape}, which {experiment.data.name} has"
        ) from error
    make_descent(
        net,
        steps=1,
        steps_per_epoch=1,
        schedule=experiment.training.schedule.model_dump(),
        **experiment.training.optimiser.model_dump(),
    )
    for member, options in experiment.nets.items():
        uncertainty_set = make_uncertainty_set(**options.uncertainty_set.model_dump())
        _check_radius(f"{name}.nets.{member}.uncertainty_set", uncertainty_set, dimensions)
        WorstCase(
            uncertainty_set=uncertainty_set,
            maximiser=make_maximiser(**options.maximiser.model_dump()),
            **experiment.objective.model_dump(),
        )
    for norm, ball in experiment.adversarial_set.sets.items():
        attacked = make_uncertainty_set(norm, **ball)
        if not isinstance(attacked, NormBall):
            raise InputError(
                f"{name}.adversarial_set.sets.{norm} is no norm ball; it moves nothing"
            )
        _check_radius(f"{name}.adversarial_set.sets.{norm}", attacked, dimensions)


def _check_radius(key: str, uncertainty_set: UncertaintySet, dimensions: int) -> None:
    diameter = {"l1": float(dimensions), "l2": dimensions**0.5, "linf": 1.0}
    largest = diameter.get(uncertainty_set.name)
    if largest is not None and uncertainty_set.radius > largest:
        raise InputError(
            f"{key}.radius is {uncertainty_set.radius}; the pixel box [0, 1] is only {largest:.6g} across"
        )
