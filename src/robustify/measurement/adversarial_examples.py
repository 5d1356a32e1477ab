"""Adversarial examples of one step, collected: what a stored set is made of, and what is fed back into the training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, class_of, device_of, pixels
from robustify.errors import InputError, shown
from robustify.gradients import input_gradient
from robustify.limits import require_at_least
from robustify.machine.devices import full_precision
from robustify.measurement.accuracies import predict
from robustify.modes import evaluation_mode
from robustify.uncertainty import (
    NormBall,
    UncertaintySet,
    perturbation_norm,
    require_radius_in_box,
)
from robustify.validity import require_measurable


@dataclass(frozen=True)
class AdversarialExamples:
    """Perturbed images that a net gets wrong though it has their originals right.

    Attributes:
        images: float32 in [0, 1], but where a set's step is ``unclipped``, shape (N, C, H, W).
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
            the probabilities of a softmax or sigmoids or computes in half precision, a name isn't that of its set, or of no ball, or
            a radius reaches beyond the pixel box.
    """
    require_at_least(1, batch_size=batch_size)
    if not uncertainty_sets:
        raise InputError("uncertainty_sets is empty; give at least one")
    for name, uncertainty_set in uncertainty_sets.items():
        if not isinstance(uncertainty_set, NormBall):
            raise InputError(f"uncertainty_sets[{name!r}] is no norm ball; it can't be attacked")
        if name != uncertainty_set.name:
            raise InputError(
                f"uncertainty_sets[{name!r}] is a set named {uncertainty_set.name!r}; use that name"
            )
    require_measurable(net, images, labels, attacked=True, batch_size=batch_size)
    for name, uncertainty_set in uncertainty_sets.items():
        require_radius_in_box(
            uncertainty_set, images[0].numel(), name=f"uncertainty_sets[{name!r}].radius"
        )
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
    return _still_wrong(net, _join(found), batch_size)


def survives_rounding(net: nn.Module, examples: AdversarialExamples) -> Tensor:
    """Return which examples the net still gets wrong once rounded to uint8, bool, shape (N,)."""
    rounded = (examples.images * 255).round().clamp(0, 255).to(torch.uint8)
    return predict(net, rounded) != examples.labels


def eight_bit_examples(
    net: nn.Module, images: Tensor, labels: Tensor, uncertainty_set: UncertaintySet
) -> tuple[Tensor, Tensor]:
    """Return examples as training images are, and their labels: those that fool the net after rounding.

    Made once and trained on like any other images, they don't follow the net that is trained on them (Szegedy et al., 2014;
    Kereliuk et al., 2015).

    Args:
        net: the attacked one, maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        uncertainty_set: where examples are looked for.

    Returns:
        uint8 images, shape (M, C, H, W), and int64 labels, shape (M,), M ≥ 1.

    Raises:
        InputError: if no example fools the net, or as :func:`attack`.
    """
    if not isinstance(uncertainty_set, NormBall):
        raise InputError(f"uncertainty_set is {shown(uncertainty_set)}; it must be a norm ball")
    examples = attack(net, images, labels, {uncertainty_set.name: uncertainty_set})
    kept = survives_rounding(net, examples)
    if not bool(kept.any()):
        raise InputError(
            f"no training image's example in {uncertainty_set.name} of radius {uncertainty_set.radius} fools the baseline; raise fed_back.radius"
        )
    rounded = (examples.images[kept] * 255).round().clamp(0, 255).to(torch.uint8)
    return rounded, examples.labels[kept]


def _join(found: Mapping[str, list[dict[str, Tensor]]]) -> AdversarialExamples:
    parts = [part for parts in found.values() for part in parts]
    counts = [sum(len(part["labels"]) for part in parts) for parts in found.values()]
    norm = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)).to(torch.uint8)
    columns = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return AdversarialExamples(**columns, norm=norm, norms=tuple(found))


def _still_wrong(
    net: nn.Module, examples: AdversarialExamples, batch_size: int
) -> AdversarialExamples:
    # in a batch of other examples the last bits of a logit may differ, and a near-tie with them
    wrong = predict(net, examples.images, batch_size=batch_size) != examples.labels
    columns = {
        field.name: getattr(examples, field.name)[wrong]
        for field in fields(examples)
        if field.name != "norms"
    }
    return AdversarialExamples(**columns, norms=examples.norms)
