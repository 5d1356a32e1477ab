"""Whether a net gives logits, which losses take for granted, or probabilities."""

from __future__ import annotations

from torch import Tensor

# images, of which a net that has hardly learned might give all logits in [0, 1]
FEW = 50
# bfloat16 rounds the sum of a softmax as far
_ROUNDING = 2e-2


def are_probabilities(outputs: Tensor) -> bool:
    """Return whether a net's outputs are those of a softmax, or for at least 50 images of sigmoids.

    A softmax sums to 1. Sigmoids don't, but logits of many images don't all lie in [0, 1].

    Args:
        outputs: finite, shape (N, K).
    """
    if outputs.numel() == 0 or not bool(((outputs >= 0) & (outputs <= 1)).all()):
        return False
    sums = outputs.double().sum(dim=1)
    return len(outputs) >= FEW or bool(((sums - 1).abs() < _ROUNDING).all())
