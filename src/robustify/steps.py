"""Accuracy under one ascent step against a net's own weights, in any norm (Figs. 3 and 6, and what they leave out)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, class_of, device_of, pixels
from robustify.errors import InputError
from robustify.machine.devices import full_precision
from robustify.maximisers import evaluation_mode, input_gradient
from robustify.uncertainty import make_uncertainty_set

Accuracies = dict[str, dict[float, float]]


def accuracy_under_steps(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    radii: Mapping[str, Sequence[float]],
    *,
    batch_size: int = BATCH_SIZE,
) -> Accuracies:
    """Return the accuracy after one exact step of Eq. 11, as shares by norm and radius.

    One gradient serves all norms and radii.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        radii: by norm (``l1``, ``l2``, ``linf``), in pixel units of the [0, 1] scale.
        batch_size: images a pass.

    Raises:
        InputError: if there are no images, a norm is unknown, a radius isn't positive or an output isn't finite.
    """
    if len(images) == 0:
        raise InputError("accuracy of no images is undefined; give at least one")
    balls = {
        (norm, radius): make_uncertainty_set(norm, radius=radius)
        for norm, chosen in radii.items()
        for radius in chosen
    }
    device = device_of(net)
    right = dict.fromkeys(balls, 0)
    with evaluation_mode(net), full_precision():
        for batch, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            x, y = pixels(batch, net), y.to(device)
            gradient = input_gradient(net, x, y)
            for ball, uncertainty_set in balls.items():
                worst = x + uncertainty_set.steepest_ascent(gradient, x)
                with torch.no_grad():
                    right[ball] += int((class_of(net, worst) == y).sum())
    return {
        norm: {radius: right[norm, radius] / len(images) for radius in chosen}
        for norm, chosen in radii.items()
    }
