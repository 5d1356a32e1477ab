"""Directions of gradients whose slopes are too small to square, infinite or no number."""

from __future__ import annotations

import torch
from torch import Tensor


def scaled_to_one(gradient: Tensor, *, room: Tensor | None = None) -> Tensor:
    """Return each row divided by its largest magnitude; slopes that are infinite or no number as in :func:`finite_direction`.

    Args:
        gradient: shape (N, D).
        room: how far each pixel can move along it, shape (N, D); an infinite slope counts only where there is some.
    """
    # squares of small float32 gradients underflow, so bring the largest entry to 1 first
    largest = gradient.abs().amax(dim=1, keepdim=True)
    if not bool(largest.isfinite().all()):
        gradient = finite_direction(gradient if room is None else gradient.where(room > 0, 0))
        largest = gradient.abs().amax(dim=1, keepdim=True)
    return gradient / largest.where(largest > 0, torch.ones_like(largest))


def finite_direction(gradient: Tensor) -> Tensor:
    """Return the direction of gradients in which slopes are infinite, and those alone count, or no number, and count for nothing."""
    infinite = gradient.isinf()
    steepest = infinite.any(dim=1, keepdim=True)
    known = gradient.nan_to_num(nan=0.0)
    return torch.where(steepest, infinite * known.sign(), known)
