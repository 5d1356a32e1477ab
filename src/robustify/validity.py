"""What a net, its images and its labels must be for a measurement of them to mean anything."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, logits_of, require_full_numbers, require_tensors
from robustify.errors import InputError
from robustify.verdicts import Verdict

# images, of which a net that has hardly learned might give all logits in [0, 1]
FEW = 50
# as far a softmax's sum is rounded, by the coarsest numbers that hold its outputs
_ROUNDING = {torch.bfloat16: 2e-2, torch.float16: 2e-3, torch.float32: 1e-4}
_MIDDLE = 0.5


def require_measurable(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    attacked: bool = False,
    batch_size: int = BATCH_SIZE,
) -> None:
    """Refuse what would be measured as something that it isn't; a look at a few answers.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8 or float in [0, 1], shape (N, C, H, W).
        labels: true classes, shape (N,).
        attacked: whether gradients of the loss are to be followed, so that probabilities and half precision won't do.
        batch_size: images a pass, but for two at least.

    Raises:
        InputError: naming what is wrong.
    """
    require_tensors(images=images, labels=labels)
    if len(images) == 0:
        raise InputError("accuracy of no images is undefined; the set is empty")
    # two, for one answer to all images would be the right shape for one; sigmoids take more to be told from logits
    few = images[: FEW if attacked else 2]
    _checked(net, few, images, labels, attacked=attacked, batch_size=max(batch_size, 2))


def checked_logits(
    net: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Return the net's logits, shape (N, K), of images and labels that can be attacked.

    Raises:
        InputError: if images aren't in [0, 1], labels aren't classes of the net, or its outputs
            aren't finite or are probabilities, or the net is of half precision.
    """
    return _checked(net, images, images, labels, attacked=True, batch_size=batch_size)


def _checked(
    net: nn.Module,
    looked_at: Tensor,
    images: Tensor,
    labels: Tensor,
    *,
    attacked: bool,
    batch_size: int,
) -> Tensor:
    """Return the net's logits of some of the images, once all that was asked of net, images and labels holds."""
    require_tensors(images=images, labels=labels)
    if attacked:
        require_full_numbers(net)
    pixels_are_in_range(images).require()
    logits = logits_of(net, looked_at, batch_size=batch_size)
    if attacked:
        outputs_are_logits(logits).require()
    labels_are_in_range(labels, images=len(images), classes=logits.shape[1]).require()
    return logits


def require_bytes(images: Tensor) -> None:
    """Refuse images that aren't uint8: floats would be divided by 255 once more.

    Raises:
        InputError: naming their type.
    """
    require_tensors(images=images)
    if images.dtype != torch.uint8:
        raise InputError(f"images are {images.dtype}; they must be torch.uint8")


def pixels_are_in_range(images: Tensor) -> Verdict:
    """Images are uint8, or floats in [0, 1].

    Args:
        images: shape (N, C, H, W).
    """
    if images.dtype == torch.uint8:
        return Verdict("pixels_are_in_range", True, {}, "images are uint8")
    wanted = "they must be uint8, or floats in [0, 1]"
    if not images.is_floating_point():
        return Verdict("pixels_are_in_range", False, {}, f"images are {images.dtype}; {wanted}")
    finite = bool(images.isfinite().all())
    lowest, highest = _extremes(images)
    return Verdict(
        "pixels_are_in_range",
        finite and lowest >= 0 and highest <= 1,
        {"lowest": lowest, "highest": highest},
        f"images reach from {lowest:.6g} to {highest:.6g}; {wanted}"
        if finite
        else f"images hold values that aren't finite; {wanted}",
    )


def labels_are_in_range(labels: Tensor, *, images: int, classes: int) -> Verdict:
    """There is a label an image, and each is one of the net's classes.

    Args:
        labels: true classes, whole numbers, shape (N,).
        images: their number.
        classes: number of the net's logits.
    """
    wanted = f"they must be {images} of the net's classes, 0 to {classes - 1}, as whole numbers"
    whole = labels.dtype != torch.bool and not labels.is_floating_point()
    if labels.shape != (images,) or not whole:
        explanation = f"labels are {labels.dtype} of shape {tuple(labels.shape)}; {wanted}"
        return Verdict("labels_are_in_range", False, {}, explanation)
    lowest, highest = _extremes(labels)
    return Verdict(
        "labels_are_in_range",
        lowest >= 0 and highest < classes,
        {"lowest": lowest, "highest": highest, "classes": classes},
        f"labels reach from {lowest:.0f} to {highest:.0f}; {wanted}",
    )


def outputs_are_finite(logits: Tensor) -> Verdict:
    """What the net gives is a row of numbers for each image.

    Args:
        logits: shape (N, K).
    """
    name = "outputs_are_finite"
    if logits.ndim != 2:
        shape = tuple(logits.shape)
        return Verdict(
            name, False, {}, f"the net's output has shape {shape}; it must be (images, classes)"
        )
    odd = int((~logits.isfinite()).any(dim=1).sum())
    if odd:
        explanation = f"the net's output isn't finite on {odd} of {len(logits)} images"
        return Verdict(name, False, {"not_finite": odd}, explanation)
    return Verdict(name, True, {}, "outputs are finite")


def outputs_are_logits(logits: Tensor) -> Verdict:
    """What the net gives is finite, and logits rather than probabilities.

    The gradient of a loss that takes the softmax of a softmax is small where it should be large.

    Args:
        logits: shape (N, K).
    """
    name = "outputs_are_logits"
    finite = outputs_are_finite(logits)
    if not finite.passed:
        return replace(finite, gate=name)
    lowest, highest = _extremes(logits)
    probabilities = are_probabilities(logits)
    return Verdict(
        name,
        not probabilities,
        {"lowest": lowest, "highest": highest},
        "the net gives probabilities; it must give logits: leave its last softmax or sigmoid out"
        if probabilities
        else f"outputs reach from {lowest:.6g} to {highest:.6g}",
    )


def are_probabilities(outputs: Tensor) -> bool:
    """Return whether a net's outputs are those of a softmax, or for at least 50 images of sigmoids.

    A softmax sums to 1. Sigmoids don't, but logits of many images don't all lie in [0, 1] and reach beyond its middle.

    Args:
        outputs: finite, shape (N, K).
    """
    if outputs.numel() == 0 or not bool(((outputs >= 0) & (outputs <= 1)).all()):
        return False
    sums = outputs.double().sum(dim=1)
    held_by = (kind for kind in _ROUNDING if bool((outputs.to(kind) == outputs).all()))
    rounding = _ROUNDING[next(held_by, torch.float32)]
    sigmoids = len(outputs) >= FEW and float(outputs.max()) > _MIDDLE
    return sigmoids or bool(((sums - 1).abs() < rounding).all())


def _extremes(values: Tensor) -> tuple[float, float]:
    if values.numel() == 0:
        return 0.0, 0.0
    lowest, highest = values.detach().aminmax()
    return float(lowest), float(highest)
