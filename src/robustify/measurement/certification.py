"""Certified accuracy: the share of images that provably no perturbation in a ball can flip."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, device_of, logits_of, require_tensors
from robustify.errors import InputError, shown
from robustify.intervals import interval_of, largest_margins
from robustify.limits import require_at_least
from robustify.uncertainty import LinfBall
from robustify.validity import labels_are_in_range, require_bytes


def certified_accuracy(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    ball: LinfBall,
    *,
    batch_size: int = BATCH_SIZE,
) -> float:
    """Return the share of images whose label no other class can beat anywhere in the ball, by interval bounds.

    No attack can push accuracy below it. It is a lower bound, and a loose one: of a net that wasn't trained for it
    (:class:`robustify.objectives.IntervalBound`) it certifies next to nothing. It is computed in float64; rounding isn't bounded.

    Args:
        net: layers in a row that :mod:`robustify.intervals` has rules for; it stays as it is.
        images: uint8, shape (N, C, H, W), N ≥ 1.
        labels: true classes, int64, shape (N,).
        ball: l∞ ball on the [0, 1] scale.
        batch_size: images a pass.

    Raises:
        InputError: if there are no images or they aren't uint8, labels aren't classes of the net, the ball isn't l∞, or naming a layer that has no bound.
    """
    require_tensors(images=images, labels=labels)
    require_bytes(images)
    if len(images) == 0:
        raise InputError("there are no images to certify")
    require_at_least(1, batch_size=batch_size)
    if not isinstance(ball, LinfBall):
        raise InputError(
            f"interval bounds are of an l∞ ball, not of {shown(getattr(ball, 'name', ball))}"
        )
    # two, for one answer to all images would be the right shape for one
    classes = logits_of(net, images[:2]).shape[1]
    labels_are_in_range(labels, images=len(images), classes=classes).require()
    device = device_of(net)
    exact = copy.deepcopy(net).double().eval()
    certified = 0
    with torch.no_grad():
        for x, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            inputs = interval_of(ball, x.to(device).double() / 255)
            margins = largest_margins(exact, inputs, y.to(device, torch.int64))
            # the label's own margin is 0; a bound that is no number proves nothing
            certified += int(((margins < 0).sum(dim=1) == margins.shape[1] - 1).sum())
    return certified / len(images)
