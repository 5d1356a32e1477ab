"""Whether a net, images and labels are what an attack takes for granted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, dtype_of, logits_of
from robustify.errors import InputError
from robustify.gates import labels_are_in_range, outputs_are_logits, pixels_are_in_range


def require_full_numbers(net: nn.Module) -> None:
    """Refuse a net of half precision: its grid of points is coarser than an attack's steps, which would flatter it.

    Raises:
        InputError: naming the precision.
    """
    kind = dtype_of(net)
    if kind in (torch.float16, torch.bfloat16):
        raise InputError(
            f"the net's numbers are {kind}, too coarse for attacks; give it as net.float()"
        )


def checked_logits(
    net: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Return the net's logits, shape (N, K), of images and labels that can be attacked.

    Raises:
        InputError: if images aren't in [0, 1], labels aren't classes of the net, or its outputs
            aren't finite or are probabilities, or the net is of half precision.
    """
    require_full_numbers(net)
    pixels_are_in_range(images).require()
    logits = logits_of(net, images, batch_size=batch_size)
    outputs_are_logits(logits).require()
    labels_are_in_range(labels, images=len(images), classes=logits.shape[1]).require()
    return logits
