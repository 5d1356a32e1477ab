"""Losses that attacks raise, one value per image; none of them depends on the rest of the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from robustify.errors import InputError

_TINY = 1e-12


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy of each image, shape (N,)."""
    return functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the true class's logit minus the largest other one, shape (N,); negative if wrong."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - others.amax(dim=1)


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the difference of logits ratio (Croce and Hein, 2020, Eq. 6), shape (N,).

    Unlike cross entropy it doesn't change if the logits are scaled or shifted.

    Args:
        logits: shape (N, K).
        labels: true classes, int64, shape (N,).

    Raises:
        ValueError: if there are fewer than 3 classes.
    """
    _require_classes(logits, 3, "the DLR loss")
    ranked = logits.sort(dim=1, descending=True).values
    return -margin(logits, labels) / (ranked[:, 0] - ranked[:, 2] + _TINY)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Return the targeted difference of logits ratio (Croce and Hein, 2020, Eq. 7), shape (N,).

    Args:
        logits: shape (N, K).
        labels: true classes, int64, shape (N,).
        targets: classes that the attack pulls towards, int64, shape (N,).

    Raises:
        ValueError: if there are fewer than 4 classes.
    """
    _require_classes(logits, 4, "the targeted DLR loss")
    ranked = logits.sort(dim=1, descending=True).values
    difference = logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None])
    scale = ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2 + _TINY
    return difference[:, 0] / scale


def _require_classes(logits: Tensor, least: int, what: str) -> None:
    if logits.shape[1] < least:
        raise InputError(f"{what} needs at least {least} classes; the net has {logits.shape[1]}")
