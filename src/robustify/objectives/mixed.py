"""The mixed loss of Eq. 3 (Goodfellow et al., 2015)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from robustify.limits import require_share
from robustify.objectives.base import SetObjective
from robustify.uncertainty import Point


class Mixed(SetObjective):
    """α J(θ, x, y) + (1 − α) J(θ, x + Δ, y), with x + Δ the worst input of U(x) (Eq. 3).

    Each term has a forward pass of its own. α = 0 is the worst case of Eq. 9, α = 1 standard training.

    Args:
        alpha: weight of the clean loss, in [0, 1].
        options: see :class:`robustify.objectives.base.SetObjective`.

    Raises:
        ValueError: if ``alpha`` or an option is out of range.
    """

    name = "mixed"

    def __init__(self, *, alpha: float = 0.5, **options: Any) -> None:
        super().__init__(**options)
        require_share(alpha=alpha)
        self.alpha = float(alpha)

    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        if self.alpha == 1 or isinstance(self.uncertainty_set, Point):
            return self.loss(net, x, labels)
        worst = self.loss(net, self.worst_input(net, x, labels, generator), labels)
        if self.alpha == 0:
            return worst
        return self.alpha * self.loss(net, x, labels) + (1 - self.alpha) * worst
