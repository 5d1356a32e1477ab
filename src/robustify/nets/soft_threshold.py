"""A soft threshold of the pixels as a net's first layer: bounded changes of dark and bright ones hardly pass it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.errors import InputError

MIDDLE = 0.5


class SoftThreshold(nn.Module):
    """Map every value x to σ(k x − b), with one steepness k and one offset b that are learned; the threshold is b / k.

    Robust nets of MNIST make thresholds of their first filters (Madry et al., 2018, arXiv:1706.06083, appendix C); a net that
    begins with one need not find it. Unlike a step or a clamp, σ has a gradient everywhere, so that attacks by gradients have
    something to follow; in the l∞ ball that such nets are trained on, they do find what queries find.

    The offset is learned rather than the threshold itself, whose gradient is k times as large: with the threshold as a weight,
    trainings at the rates of ``conf/robust`` collapsed within seven epochs.

    Args:
        steepness: k at first, > 0; the threshold is 0.5 at first.

    Raises:
        InputError: if ``steepness`` isn't positive and finite.
    """

    def __init__(self, *, steepness: float) -> None:
        super().__init__()
        if not 0 < steepness < float("inf"):
            raise InputError(
                f"the soft threshold's steepness is {steepness}; it must be > 0 and finite"
            )
        self._first_steepness = steepness
        self.steepness = nn.Parameter(torch.empty(1))
        self.offset = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set both weights to their first values; nothing is drawn."""
        nn.init.constant_(self.steepness, self._first_steepness)
        nn.init.constant_(self.offset, self._first_steepness * MIDDLE)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.steepness * x - self.offset)
