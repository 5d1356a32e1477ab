"""One step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustify.gradients import input_gradient
from robustify.maximisers.base import Maximiser
from robustify.uncertainty import Point, UncertaintySet


class SteepestAscent(Maximiser):
    """One steepest-ascent step from x, the first-order surrogate of Eq. 11."""

    name = "steepest_ascent"

    def maximise(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        x = x.detach() if x.requires_grad else x
        if isinstance(uncertainty_set, Point):
            return x
        gradient = input_gradient(net, x, labels)
        return x + uncertainty_set.steepest_ascent(gradient, x)
