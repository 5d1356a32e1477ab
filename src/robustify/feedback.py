"""Adversarial examples of the training images, made once against a net and trained on like any other images.

As Szegedy et al. (2014) and Kereliuk et al. (2015) did: the examples don't follow the net that is trained on them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.measurement import attack, survives_rounding
from robustify.uncertainty import UncertaintySet


def eight_bit_examples(
    net: nn.Module, images: Tensor, labels: Tensor, uncertainty_set: UncertaintySet
) -> tuple[Tensor, Tensor]:
    """Return examples as training images are, and their labels: those that fool the net after rounding.

    Args:
        net: the attacked one, maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        uncertainty_set: where examples are looked for.

    Returns:
        uint8 images, shape (M, C, H, W), and int64 labels, shape (M,), M ≥ 1.

    Raises:
        InputError: if no example fools the net.
    """
    examples = attack(net, images, labels, {uncertainty_set.name: uncertainty_set})
    kept = survives_rounding(net, examples)
    if not bool(kept.any()):
        raise InputError(
            f"no training image's example in {uncertainty_set.name} of radius {uncertainty_set.radius} fools the baseline; raise fed_back.radius"
        )
    rounded = (examples.images[kept] * 255).round().clamp(0, 255).to(torch.uint8)
    return rounded, examples.labels[kept]
