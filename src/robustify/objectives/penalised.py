"""A loss with a penalty on top."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from robustify.objectives.base import SetObjective, in_full_precision, require_multiplier


class Penalised(SetObjective):
    """Worst-case loss plus β times a penalty at the clean images.

    On a ``Point`` this is the ordinary loss with a penalty, as in the work that the paper relates
    to. The penalty is computed in float32 and in the inner mode; under batch normalisation in
    ``train`` mode its derivatives pass through the batch's statistics, too.

    Args:
        beta: weight of the penalty, >= 0.
        options: see :class:`robustify.objectives.base.SetObjective`.

    Raises:
        ValueError: if ``beta`` or an option is out of range.
    """

    def __init__(self, *, beta: float, **options: Any) -> None:
        super().__init__(**options)
        self.beta = require_multiplier(beta)

    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        loss = self.loss(net, self.worst_input(net, x, labels, generator), labels)
        if self.beta == 0:
            return loss
        with self.in_inner_mode(net), in_full_precision(x):
            return loss + self.beta * self.penalty(net, x, generator)

    @abstractmethod
    def penalty(self, net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the penalty, a scalar: the mean over the batch if it depends on the images."""
