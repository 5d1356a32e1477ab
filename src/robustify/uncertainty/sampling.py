"""Numbers drawn by a generator of the caller."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return numbers drawn uniformly from [0, 1), of this tensor's shape, type and device."""
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
