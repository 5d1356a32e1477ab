"""Which images one changed pixel can flip (the paper's Fig. 1, counted)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, answer, device_of, pixels
from robustify.errors import InputError
from robustify.gradients import input_gradient
from robustify.limits import require_at_least
from robustify.machine.devices import full_precision
from robustify.measurement.accuracies import predict
from robustify.modes import evaluation_mode
from robustify.validity import require_bytes, require_measurable


def flipped_by_promising_pixels(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    candidates: int,
    batch_size: int = BATCH_SIZE,
) -> Tensor:
    """Return which images the net has right and gets wrong once one of a few pixels goes to its extreme.

    Tried are the pixels on which the loss gains most to first order (Eq. 11 with the l1 ball), each set to
    0 or 1 in every channel as the gradient's sign says. So the count is a lower bound.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        candidates: pixels tried of every image; all if there are fewer.
        batch_size: images a pass.

    Returns:
        bool, shape (N,), on the CPU.

    Raises:
        InputError: if the images aren't uint8, labels aren't classes of the net, a number is below 1, an answer isn't finite, or
            the first fifty are probabilities.
    """
    require_bytes(images)
    require_at_least(1, batch_size=batch_size, candidates=candidates)
    require_measurable(net, images, labels, attacked=True, batch_size=batch_size)
    device = device_of(net)
    found = []
    with evaluation_mode(net), full_precision():
        for batch, y in zip(images.split(batch_size), labels.split(batch_size), strict=True):
            x, y = pixels(batch, net), y.to(device, torch.int64)
            gradient = input_gradient(net, x, y)
            extreme = (gradient > 0).to(x.dtype)
            gain = (gradient * (extreme - x)).sum(dim=1).flatten(1)
            places = gain.topk(min(candidates, gain.shape[1]), dim=1).indices
            flipped = torch.zeros(len(x), dtype=torch.bool, device=device)
            for place in places.T:
                flipped |= _classes(net, _with_pixel(x, extreme, place)) != y
            found.append((flipped & (_classes(net, x) == y)).cpu())
    return torch.cat(found)


def flipped_by_any_pixel(
    net: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Return which images the net has right and gets wrong once any one pixel goes to an extreme.

    Every pixel is tried with 0 and with 1 in each of the C channels: 2^C·H·W images pass the net for one.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        batch_size: images a pass.

    Returns:
        bool, shape (N,), on the CPU.

    Raises:
        InputError: if the images aren't uint8, labels aren't classes of the net, ``batch_size`` is below 1, an answer isn't finite,
            or the first fifty are probabilities.
    """
    require_bytes(images)
    require_at_least(1, batch_size=batch_size)
    require_measurable(net, images, labels, attacked=True, batch_size=batch_size)
    right = predict(net, images, batch_size=batch_size) == labels.cpu()
    device = device_of(net)
    flipped = torch.zeros(len(images), dtype=torch.bool)
    with evaluation_mode(net), full_precision():
        for index in right.nonzero()[:, 0].tolist():
            x = pixels(images[index : index + 1], net)
            flipped[index] = any(
                bool((_classes(net, tried) != labels[index].to(device)).any())
                for tried in _every_pixel(x).split(batch_size)
            )
    return flipped


def _every_pixel(x: Tensor) -> Tensor:
    """Return copies of one image, one for each pixel and corner of its colours, shape (2^C·H·W, C, H, W)."""
    pixels = x.shape[2] * x.shape[3]
    places = torch.arange(pixels, device=x.device)
    copies = x.expand(pixels, -1, -1, -1)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * x.shape[1]).view(-1, x.shape[1])
    return torch.cat(
        [
            _with_pixel(copies, corner.to(x).view(1, -1, 1, 1).expand_as(copies), places)
            for corner in corners
        ]
    )


def _with_pixel(x: Tensor, extreme: Tensor, place: Tensor) -> Tensor:
    """Return images with one pixel each, at flat index ``place``, taken from ``extreme``."""
    index = place.view(-1, 1, 1).expand(-1, x.shape[1], 1)
    changed = x.flatten(2).scatter(2, index, extreme.flatten(2).gather(2, index))
    return changed.view_as(x)


@torch.no_grad()
def _classes(net: nn.Module, x: Tensor) -> Tensor:
    logits = answer(net, x.contiguous(memory_format=torch.channels_last))
    # the largest of several NaN would count as a flip
    if not bool(logits.isfinite().all()):
        raise InputError(
            "the net's outputs aren't finite where a pixel is at an extreme; no flip can be told from that"
        )
    return logits.argmax(dim=1)
