"""Whether a net gives logits, which losses take for granted, or probabilities."""

from __future__ import annotations

import torch
from torch import Tensor

# images, of which a net that has hardly learned might give all logits in [0, 1]
FEW = 50
# as far a softmax's sum is rounded
_ROUNDING = {torch.bfloat16: 2e-2, torch.float16: 2e-3}
_LEAST_ROUNDING = 1e-4
_MIDDLE = 0.5


def are_probabilities(outputs: Tensor) -> bool:
    """Return whether a net's outputs are those of a softmax, or for at least 50 images of sigmoids.

    A softmax sums to 1. Sigmoids don't, but logits of many images don't all lie in [0, 1] and reach beyond its middle.

    Args:
        outputs: finite, shape (N, K).
    """
    if outputs.numel() == 0 or not bool(((outputs >= 0) & (outputs <= 1)).all()):
        return False
    sums = outputs.double().sum(dim=1)
    rounding = _ROUNDING.get(outputs.dtype, _LEAST_ROUNDING)
    sigmoids = len(outputs) >= FEW and float(outputs.max()) > _MIDDLE
    return sigmoids or bool(((sums - 1).abs() < rounding).all())
