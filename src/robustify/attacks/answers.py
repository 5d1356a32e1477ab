"""A net's answers, refused where they aren't what an attack takes for granted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.gates import labels_are_in_range, outputs_are_logits, pixels_are_in_range
from robustify.machine.devices import full_precision
from robustify.maximisers import evaluation_mode
from robustify.measurement import BATCH_SIZE


@torch.no_grad()
def logits_of(net: nn.Module, images: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Return the net's logits in float32 and eval mode, on the CPU, shape (N, K).

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8 or float in [0, 1], shape (N, C, H, W), N ≥ 1.
        batch_size: images a forward pass.

    Raises:
        InputError: if the net doesn't answer with a tensor, a row an image.
    """
    device = next(net.parameters()).device
    with evaluation_mode(net), full_precision():
        return torch.cat(
            [
                _answer(net, pixels(batch, device)).float().cpu()
                for batch in images.split(batch_size)
            ]
        )


def _answer(net: nn.Module, x: Tensor) -> Tensor:
    answer = net(x)
    if not isinstance(answer, Tensor):
        raise InputError(f"the net's output is a {type(answer).__name__}; it must be a tensor")
    if answer.ndim != 2 or len(answer) != len(x):
        raise InputError(
            f"the net's output has shape {tuple(answer.shape)} for {len(x)} images; it must be (images, classes)"
        )
    return answer


def pixels(images: Tensor, device: torch.device) -> Tensor:
    """Return images on the [0, 1] scale, in the layout that measurements use."""
    x = images.to(device).contiguous(memory_format=torch.channels_last)
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def checked_logits(
    net: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Return the net's logits, shape (N, K), of images and labels that can be attacked.

    Raises:
        InputError: if images aren't in [0, 1], labels aren't classes of the net, or its outputs
            aren't finite or are probabilities.
    """
    pixels_are_in_range(images).require()
    logits = logits_of(net, images, batch_size=batch_size)
    outputs_are_logits(logits).require()
    labels_are_in_range(labels, images=len(images), classes=logits.shape[1]).require()
    return logits
