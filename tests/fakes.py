"""Planted fake defences, each around an honest net, and what the gates must say of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Fake(nn.Module):
    """An honest net behind something that only looks like robustness."""

    def __init__(self, honest: nn.Module) -> None:
        super().__init__()
        self.honest = honest


class Rounding(Fake):
    """Rounds its input, so that no gradient gets through and small changes are lost."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest((x * 4).round() / 4)


class Saturated(Fake):
    """Scales its logits so far that the softmax of every answer is 1 or 0."""

    def forward(self, x: Tensor) -> Tensor:
        return 1e6 * self.honest(x)


class Probabilities(Fake):
    """Ends in a softmax of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x).softmax(dim=1)


class Detached(Fake):
    """Detaches its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x.detach())


class Gradientless(Fake):
    """Computes outside of automatic differentiation altogether."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.honest(x)


class Stochastic(Fake):
    """Adds noise of its own to its input."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x + 0.05 * torch.randn_like(x))


class BatchDependent(Fake):
    """Subtracts the mean of whatever batch it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return self.honest(x) - 5 * self.honest(x.mean(dim=0, keepdim=True)) * len(x) ** 0.5


class NotFinite(Fake):
    """Gives no number for images with a bright first pixel."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1)[:, :1] > 0.5
        return self.honest(x).masked_fill(bright, torch.nan)
