"""Whether examples made on one net fool another (Szegedy et al., 2014; the paper cites it without measuring)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from robustify.measurement.accuracies import predict
from robustify.measurement.adversarial_examples import AdversarialExamples, attack
from robustify.significance import mcnemar
from robustify.uncertainty import UncertaintySet

Matrix = dict[str, dict[str, dict[str, Any]]]


def transfer_matrix(
    nets: Mapping[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    norm: str,
    uncertainty_set: UncertaintySet,
) -> Matrix:
    """Return for every net whose examples they are (row) how every net (column) takes them.

    The examples of a row are those single steps (Eq. 11) that its net falls for, from images it has
    right. Each is counted beside its original, so that what a column's net gets wrong anyway doesn't
    count as transfer.

    Args:
        nets: by name; each maps images in [0, 1] to logits.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        norm: of the ball.
        uncertainty_set: the ball that a step may go to the border of.

    Returns:
        By row and column: ``examples``, ``accuracy`` on them and ``original_accuracy`` (shares, None
        of no examples), ``fooled`` (examples wrong whose originals are right), ``mended`` (the other
        way round) and McNemar's ``p_value``.
    """
    return {
        row: {
            column: _tried(net, images, examples) for column, net in nets.items() if column != row
        }
        for row, source in nets.items()
        for examples in [attack(source, images, labels, {norm: uncertainty_set})]
    }


def _tried(net: nn.Module, images: Tensor, examples: AdversarialExamples) -> dict[str, Any]:
    if len(examples) == 0:
        return {
            "examples": 0,
            "accuracy": None,
            "original_accuracy": None,
            "fooled": 0,
            "mended": 0,
            "p_value": 1.0,
        }
    right = predict(net, examples.images) == examples.labels
    before = predict(net, images[examples.source]) == examples.labels
    fooled, mended = int((before & ~right).sum()), int((right & ~before).sum())
    return {
        "examples": len(examples),
        "accuracy": float(right.double().mean()),
        "original_accuracy": float(before.double().mean()),
        "fooled": fooled,
        "mended": mended,
        "p_value": mcnemar(fooled, mended),
    }
