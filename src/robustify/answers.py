"""What goes into a net that is measured, and what comes out: in one form, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.machine.devices import full_precision
from robustify.machine.shortage import is_memory_shortage
from robustify.modes import evaluation_mode

BATCH_SIZE = 500


def device_of(net: nn.Module) -> torch.device:
    """Return where the net's weights and buffers are; the CPU if it has none."""
    return next((tensor.device for tensor in _state(net)), torch.device("cpu"))


def dtype_of(net: nn.Module) -> torch.dtype:
    """Return what the net's weights and buffers are numbers of; float32 if it has none."""
    kinds = (tensor.dtype for tensor in _state(net) if tensor.is_floating_point())
    return next(kinds, torch.float32)


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


def _state(net: nn.Module) -> Iterator[Tensor]:
    return chain(net.parameters(), net.buffers())


def require_tensors(**given: object) -> None:
    """Refuse what is no tensor.

    Raises:
        InputError: naming the first of them.
    """
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{name} are a {type(value).__name__}; they must be a tensor, as torch.as_tensor makes of arrays and lists"
            )


def pixels(images: Tensor, net: nn.Module) -> Tensor:
    """Return a copy of images on the [0, 1] scale as the net takes them, in the layout that measurements use.

    Args:
        images: uint8 or float in [0, 1], shape (N, C, H, W).
        net: says on which device and in which floating-point numbers, float32 as a rule.

    Raises:
        InputError: if they are of another type or shape.
    """
    require_tensors(images=images)
    if images.ndim != 4:
        raise InputError(f"images have shape {tuple(images.shape)}; it must be (N, C, H, W)")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(f"images are {images.dtype}; they must be uint8, or floats in [0, 1]")
    x = images.to(device_of(net)).contiguous(memory_format=torch.channels_last)
    if x.dtype == torch.uint8:
        return x.float().div_(255).to(dtype_of(net))
    # whatever a net does to it must not reach the caller's images
    return x.detach().to(dtype_of(net), copy=True)


def answer(net: nn.Module, x: Tensor) -> Tensor:
    """Return the net's logits, shape (N, K).

    Raises:
        InputError: if its output is no floating-point tensor of that shape (any other would be broadcast against the labels),
            or it changed the images.
    """
    before = None if x.is_inference() else x._version
    logits = net(x)
    if before is not None and x._version != before:
        raise InputError(
            "the net changes its input in place, so that an attack would lose its points; let it begin with x.clone()"
        )
    if not isinstance(logits, Tensor):
        raise InputError(f"the net's output is a {type(logits).__name__}; it must be a tensor")
    if not logits.is_floating_point():
        raise InputError(f"the net's output is {logits.dtype}; it must be floating-point logits")
    if logits.ndim != 2 or len(logits) != len(x):
        raise InputError(
            f"the net's output for {len(x)} images has shape {tuple(logits.shape)}; it must be ({len(x)}, classes)"
        )
    return logits


def class_of(net: nn.Module, x: Tensor) -> Tensor:
    """Return the net's class of each image, int64, shape (N,).

    Raises:
        InputError: as :func:`answer`, or if an output isn't finite.
    """
    logits = answer(net, x)
    # the largest of several NaN would be the first class, right on a tenth of the images
    if not bool(logits.isfinite().all()):
        raise InputError("the net's outputs aren't finite; it can't be measured")
    return logits.argmax(dim=1)


@torch.no_grad()
def logits_of(net: nn.Module, images: Tensor, *, batch_size: int = BATCH_SIZE) -> Tensor:
    """Return the net's logits in eval mode, as float32, on the CPU, shape (N, K).

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8 or float in [0, 1], shape (N, C, H, W), N ≥ 1.
        batch_size: images a forward pass.

    Raises:
        InputError: if ``batch_size`` is below 1, the net fails on images of that shape, or as :func:`pixels` and
            :func:`answer`.
    """
    require_at_least(1, batch_size=batch_size)
    require_tensors(images=images)
    with evaluation_mode(net), full_precision():
        return torch.cat(
            [_taken(net, pixels(batch, net)).float().cpu() for batch in images.split(batch_size)]
        )


def _taken(net: nn.Module, x: Tensor) -> Tensor:
    """Return the net's logits, or say of which images it fails."""
    try:
        return answer(net, x)
    except RuntimeError as error:
        # other kinds of it are a GPU's, or mistakes in the net itself
        if type(error) is not RuntimeError or is_memory_shortage(error):
            raise
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"the net fails on images of shape {tuple(x.shape[1:])}: {reason}"
        ) from error
