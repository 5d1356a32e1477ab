"""The worst case of Eq. 9, the paper's own objective."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.objectives.base import SetObjective


class WorstCase(SetObjective):
    """Loss on the worst input that the maximiser finds in U(x): the inner sum of Eq. 9.

    On a ``Point`` this is the ordinary training loss. Arguments are those of
    :class:`robustify.objectives.base.SetObjective`.
    """

    name = "worst_case"

    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        return self.loss(net, self.worst_input(net, x, labels, generator), labels)
