"""Accuracies: of images as they are, and after one step against the net's own weights (Figs. 3 and 6).

Every measurement runs in float32 and eval mode, gives the net's modes back, and leaves no
weight gradient behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, class_of, device_of, pixels, require_tensors
from robustify.errors import InputError
from robustify.gradients import input_gradient
from robustify.limits import is_number, require_at_least
from robustify.machine.devices import full_precision
from robustify.modes import evaluation_mode
from robustify.uncertainty import (
    LinfBall,
    Point,
    UncertaintySet,
    make_uncertainty_set,
    require_radius_in_box,
)
from robustify.validity import require_measurable

Key = TypeVar("Key")


@torch.no_grad()
def predict(net: nn.Module, images: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Return the predicted classes, int64, shape (N,), on the CPU.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8 or float in [0, 1], shape (N, C, H, W).
        batch_size: images a forward pass.

    Raises:
        ValueError: if an output isn't finite, or isn't of shape (images, classes), images aren't of shape (N, C, H, W), or
            ``batch_size`` is below 1.
    """
    require_at_least(1, batch_size=batch_size)
    with evaluation_mode(net), full_precision():
        classes = [class_of(net, pixels(batch, net)).cpu() for batch in images.split(batch_size)]
    return torch.cat(classes)


def accuracy(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of images classified right.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8 or float in [0, 1], shape (N, C, H, W), N ≥ 1.
        labels: true classes, int64, shape (N,).

    Raises:
        InputError: if there are no images, pixels are outside [0, 1], labels aren't classes of the net, or an output isn't finite
            or isn't of shape (images, classes).
    """
    require_measurable(net, images, labels)
    return float((predict(net, images) == labels.cpu()).double().mean())


def epsilon_sweep(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilons: Sequence[float],
    *,
    batch_size: int = BATCH_SIZE,
) -> dict[float, float]:
    """Return accuracy under FGSM (Eq. 2) against the net's own weights, for each epsilon.

    A one-step direction doesn't depend on epsilon, so one gradient serves them all.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        epsilons: l∞ radii in pixel units of the [0, 1] scale; 0 is the clean accuracy.
        batch_size: images a pass.

    Raises:
        ValueError: if there are no images, pixels or labels are out of range, an output isn't finite, the net gives the
            probabilities of a softmax or sigmoids or computes in half precision, or an epsilon isn't in [0, 1].
    """
    for epsilon in epsilons:
        if not is_number(epsilon) or not 0 <= epsilon <= 1:
            raise InputError(
                f"epsilon is {epsilon!r}; it must be in [0, 1], the range of a pixel: 8 of 255 values are 8 / 255"
            )
    sets = {
        epsilon: LinfBall(radius=epsilon) if epsilon > 0 else Point()
        for epsilon in dict.fromkeys(epsilons)
    }
    return one_step_accuracies(net, images, labels, sets, batch_size=batch_size)


def accuracy_under_steps(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Mapping[str, Sequence[float]],
    *,
    batch_size: int = BATCH_SIZE,
) -> dict[str, dict[float, float]]:
    """Return the accuracy after one exact step of Eq. 11, as shares by norm and radius, in norms that the paper leaves out, too.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        radii: by norm (``l1``, ``l2``, ``linf``), in pixel units of the [0, 1] scale.
        batch_size: images a pass.

    Raises:
        InputError: if a norm is unknown, a radius isn't positive or reaches beyond the pixel box, or as :func:`one_step_accuracies`.
    """
    balls = {
        (norm, radius): make_uncertainty_set(norm, radius=radius)
        for norm, chosen in radii.items()
        for radius in chosen
    }
    require_tensors(images=images)
    for ball in balls.values():
        require_radius_in_box(ball, math.prod(images.shape[1:]))
    shares = one_step_accuracies(net, images, labels, balls, batch_size=batch_size)
    return {
        norm: {radius: shares[norm, radius] for radius in chosen} for norm, chosen in radii.items()
    }


def one_step_accuracies(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    uncertainty_sets: Mapping[Key, UncertaintySet],
    *,
    batch_size: int = BATCH_SIZE,
) -> dict[Key, float]:
    """Return the accuracy after one exact step (Eq. 11) against the net's own weights, for each set; one gradient serves them all.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        uncertainty_sets: by whatever the accuracies are to be named by.
        batch_size: images a pass.

    Raises:
        InputError: if there are no images, pixels or labels are out of range, an output isn't finite, or the net gives the
            probabilities of a softmax or sigmoids or computes in half precision.
    """
    require_at_least(1, batch_size=batch_size)
    require_measurable(net, images, labels, attacked=True, batch_size=batch_size)
    device = device_of(net)
    right = dict.fromkeys(uncertainty_sets, 0)
    with evaluation_mode(net), full_precision():
        for batch, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            x, y = pixels(batch, net), y.to(device, torch.int64)
            gradient = input_gradient(net, x, y)
            for key, uncertainty_set in uncertainty_sets.items():
                worst = x + uncertainty_set.steepest_ascent(gradient, x)
                with torch.no_grad():
                    right[key] += int((class_of(net, worst) == y).sum())
    return {key: count / len(images) for key, count in right.items()}
