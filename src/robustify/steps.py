"""Accuracy under one ascent step against a net's own weights, in any norm (Figs. 3 and 6, and what they leave out)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from robustify.answers import BATCH_SIZE
from robustify.measurement import one_step_accuracies
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
        InputError: if a norm is unknown, a radius isn't positive, or as :func:`robustify.measurement.one_step_accuracies`.
    """
    balls = {
        (norm, radius): make_uncertainty_set(norm, radius=radius)
        for norm, chosen in radii.items()
        for radius in chosen
    }
    shares = one_step_accuracies(net, images, labels, balls, batch_size=batch_size)
    return {
        norm: {radius: shares[norm, radius] for radius in chosen} for norm, chosen in radii.items()
    }
