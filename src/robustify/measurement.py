"""What the training bought: accuracies on clean, stored and freshly made inputs.

Every measurement runs in float32 and eval mode, gives the net's modes back, and leaves no
weight gradient behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor, nn

from robustify.answers import (
    BATCH_SIZE,
    answer,
    class_of,
    device_of,
    pixels,
    require_full_numbers,
)
from robustify.errors import InputError
from robustify.limits import is_number, require_at_least
from robustify.logits import FEW, are_probabilities
from robustify.machine.devices import full_precision
from robustify.maximisers import evaluation_mode, input_gradient
from robustify.uncertainty import LinfBall, NormBall, Point, UncertaintySet, perturbation_norm

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
    return torch.cat(classes) if classes else torch.empty(0, dtype=torch.int64)


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
    return float((predict(net, images) == labels).double().mean())


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


@dataclass(frozen=True)
class AdversarialExamples:
    """Perturbed images that a net gets wrong though it has their originals right.

    Attributes:
        images: float32 in [0, 1], shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        source: index of each original among the images attacked, int64, shape (N,).
        prediction: the attacked net's class of each example, int64, shape (N,).
        realised_norm: norm of each perturbation in its own ball's norm, float32, shape (N,).
        norm: index into ``norms``, uint8, shape (N,).
        norms: names of the uncertainty sets.
    """

    images: Tensor
    labels: Tensor
    source: Tensor
    prediction: Tensor
    realised_norm: Tensor
    norm: Tensor
    norms: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def by_norm(self) -> dict[str, int]:
        """Return the number of examples that each norm contributed."""
        return {name: int((self.norm == i).sum()) for i, name in enumerate(self.norms)}


def attack(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    uncertainty_sets: Mapping[str, UncertaintySet],
    *,
    batch_size: int = BATCH_SIZE,
) -> AdversarialExamples:
    """Collect the successful single-step examples (Eq. 11) of every uncertainty set.

    Only images that the net has right are attacked, and one gradient serves every set. A
    perturbed image counts as adversarial if the net is wrong on it as stored, in float32.

    Args:
        net: the net under attack.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        uncertainty_sets: norm balls by name, e.g. ``{"l2": L2Ball(radius=0.05)}``.
        batch_size: images a pass.

    Returns:
        The examples, set after set, each in the order of its originals.

    Raises:
        ValueError: if there are no images or no sets, pixels or labels are out of range, an output isn't finite, the net gives
            the probabilities of a softmax or sigmoids or computes in half precision, or a name isn't that of its set, or of no ball.
    """
    require_at_least(1, batch_size=batch_size)
    require_measurable(net, images, labels, attacked=True, batch_size=batch_size)
    if not uncertainty_sets:
        raise InputError("uncertainty_sets is empty; give at least one")
    for name, uncertainty_set in uncertainty_sets.items():
        if name != uncertainty_set.name:
            raise InputError(
                f"uncertainty_sets[{name!r}] is a set named {uncertainty_set.name!r}; use that name"
            )
        if not isinstance(uncertainty_set, NormBall):
            raise InputError(f"uncertainty_sets[{name!r}] is no norm ball; it can't be attacked")
    device = device_of(net)
    found: dict[str, list[dict[str, Tensor]]] = {name: [] for name in uncertainty_sets}
    with evaluation_mode(net), full_precision():
        for start in range(0, len(images), batch_size):
            x = pixels(images[start : start + batch_size], net)
            y = labels[start : start + batch_size].to(device, torch.int64)
            with torch.no_grad():
                right = class_of(net, x) == y
            gradient = input_gradient(net, x, y)
            for name, uncertainty_set in uncertainty_sets.items():
                worst = x + uncertainty_set.steepest_ascent(gradient, x)
                with torch.no_grad():
                    prediction = class_of(net, worst)
                success = right & (prediction != y)
                found[name].append(
                    {
                        "images": worst[success].float().cpu().contiguous(),
                        "labels": y[success].cpu(),
                        "source": start + success.nonzero()[:, 0].cpu(),
                        "prediction": prediction[success].cpu(),
                        "realised_norm": perturbation_norm(name, (worst - x)[success])
                        .float()
                        .cpu(),
                    }
                )
    return _still_wrong(net, _join(found))


def _join(found: Mapping[str, list[dict[str, Tensor]]]) -> AdversarialExamples:
    parts = [part for parts in found.values() for part in parts]
    counts = [sum(len(part["labels"]) for part in parts) for parts in found.values()]
    norm = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)).to(torch.uint8)
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return AdversarialExamples(**columns, norm=norm, norms=tuple(found))


def _still_wrong(net: nn.Module, examples: AdversarialExamples) -> AdversarialExamples:
    # in a batch of other examples the last bits of a logit may differ, and a near-tie with them
    wrong = predict(net, examples.images) != examples.labels
    columns = {
        field.name: getattr(examples, field.name)[wrong]
        for field in fields(examples)
        if field.name != "norms"
    }
    return AdversarialExamples(**columns, norms=examples.norms)


def survives_rounding(net: nn.Module, examples: AdversarialExamples) -> Tensor:
    """Return which examples the net still gets wrong once rounded to uint8, bool, shape (N,)."""
    rounded = (examples.images * 255).round().clamp(0, 255).to(torch.uint8)
    return predict(net, rounded) != examples.labels


@torch.no_grad()
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
    if len(images) == 0:
        raise InputError("accuracy of no images is undefined; the set is empty")
    if attacked:
        require_full_numbers(net)
    if images.dtype != torch.uint8 and not bool(((images >= 0) & (images <= 1)).all()):
        raise InputError(
            "images hold values outside [0, 1]; they must be uint8, or floats in [0, 1]"
        )
    with evaluation_mode(net), full_precision():
        # two, for one answer to all images would be the right shape for one; sigmoids take more to be told from logits
        looked_at = images[: FEW if attacked else 2].split(max(batch_size, 2))
        logits = torch.cat([answer(net, pixels(batch, net)) for batch in looked_at])
    # the loss would take the softmax of a softmax, and its gradient would be small where it should be large
    if attacked and are_probabilities(logits):
        raise InputError(
            "the net gives probabilities; it must give logits: leave its last softmax or sigmoid out"
        )
    classes = logits.shape[1]
    whole = labels.dtype != torch.bool and not labels.is_floating_point()
    fits = labels.shape == (len(images),) and bool(((labels >= 0) & (labels < classes)).all())
    if not whole or not fits:
        raise InputError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; they must be {len(images)} of the net's classes, "
            f"0 to {classes - 1}, as whole numbers"
        )
