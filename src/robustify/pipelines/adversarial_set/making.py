"""Looks for the examples of an adversarial set, and refuses sets that would say nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from robustify.errors import InputError
from robustify.measurement.accuracies import predict
from robustify.measurement.adversarial_examples import (
    AdversarialExamples,
    attack,
    survives_rounding,
)
from robustify.uncertainty import UncertaintySet, make_uncertainty_set

logger = logging.getLogger(__name__)

_FEW = 50

# uncertainty sets by name, each with its options but for the name
Sets = Mapping[str, Mapping[str, Any]]


def find_examples(
    net: nn.Module, images: Tensor, labels: Tensor, sets: Sets
) -> AdversarialExamples:
    """Return all examples that one step in each set makes of images that the net has right.

    Args:
        net: maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        sets: where examples are looked for.

    Raises:
        InputError: if no example succeeds, or the net has one of them right after all.
    """
    examples = attack(net, images, labels, _made(sets))
    if len(examples) == 0:
        raise InputError(_empty(sets))
    for norm in (norm for norm, count in examples.by_norm().items() if count == 0):
        logger.warning(
            "no example in %s fools the baseline, so the set has none; raise adversarial_set.sets.%s.radius",
            norm,
            norm,
        )
    # unclipped examples lie outside [0, 1], where nothing else is measured
    if bool((predict(net, examples.images) == examples.labels).any()):
        raise InputError("the baseline has examples of its own adversarial set right")
    return examples


def require_any_example(net: nn.Module, images: Tensor, labels: Tensor, sets: Sets) -> None:
    """Look for the first example, for the set would be empty without one.

    Args:
        net: as of :func:`find_examples`.
        images: as of :func:`find_examples`.
        labels: as of :func:`find_examples`.
        sets: as of :func:`find_examples`.

    Raises:
        InputError: if no example succeeds.
    """
    made = _made(sets)
    # one of the first few is nearly always an example
    batches = zip(images.split(_FEW), labels.split(_FEW), strict=True)
    if not any(len(attack(net, batch, truth, made)) for batch, truth in batches):
        raise InputError(_empty(sets))


def tensors_of(net: nn.Module, examples: AdversarialExamples) -> dict[str, Tensor]:
    """Return examples as they are stored, with which of them still fool the net as 8-bit images.

    Args:
        net: the attacked one.
        examples: made against it.
    """
    return {
        "images": examples.images,
        "labels": examples.labels,
        "source": examples.source,
        "prediction_before": examples.labels.clone(),
        "prediction_after": examples.prediction,
        "norm": examples.norm,
        "realised_norm": examples.realised_norm,
        "survives_rounding": survives_rounding(net, examples),
    }


def _made(sets: Sets) -> dict[str, UncertaintySet]:
    return {name: make_uncertainty_set(name, **options) for name, options in sets.items()}


def _empty(sets: Sets) -> str:
    return (
        "the adversarial set is empty: no example fools the baseline; "
        f"raise the radii in adversarial_set.sets ({dict(sets)})"
    )
