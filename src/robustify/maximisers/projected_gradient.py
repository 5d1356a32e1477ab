"""Several steps, each projected back onto the set."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.gradients import input_gradient
from robustify.limits import require_at_least, require_flags, require_relative_step
from robustify.maximisers.base import Maximiser
from robustify.uncertainty import Point, UncertaintySet


class ProjectedGradient(Maximiser):
    """Projected gradient ascent: several shorter steepest-ascent steps, each projected back onto U(x).

    Args:
        steps: number of steps, at least 1.
        relative_step: length of a step as a share of the set's radius.
        random_start: begin at a random point of the set instead of at x.
        restarts: number of starts, at least 1; those after the first are random, and the end of
            greatest loss counts, each example for itself.

    Raises:
        ValueError: if ``steps`` or ``restarts`` < 1, or ``relative_step`` isn't in (0, 2].
    """

    name = "projected_gradient"

    def __init__(
        self,
        *,
        steps: int = 10,
        relative_step: float = 0.25,
        random_start: bool = False,
        restarts: int = 1,
    ) -> None:
        require_at_least(1, steps=steps, restarts=restarts)
        require_flags(random_start=random_start)
        require_relative_step(relative_step)
        self.steps = steps
        self.relative_step = relative_step
        self.random_start = random_start
        self.restarts = restarts

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
        start = uncertainty_set.sample(x, generator) if self.random_start else x
        worst = self._climb(net, x, labels, uncertainty_set, start)
        if self.restarts == 1:
            return worst
        greatest = _losses(net, worst, labels)
        for _ in range(self.restarts - 1):
            start = uncertainty_set.sample(x, generator)
            end = self._climb(net, x, labels, uncertainty_set, start)
            losses = _losses(net, end, labels)
            better = losses > greatest
            worst = torch.where(better.view(-1, *[1] * (x.ndim - 1)), end, worst)
            greatest = torch.where(better, losses, greatest)
        return worst

    def _climb(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        start: Tensor,
    ) -> Tensor:
        end, length = start, self.relative_step * uncertainty_set.radius
        for _ in range(self.steps):
            gradient = input_gradient(net, end, labels)
            step = uncertainty_set.steepest_ascent(gradient, end, length)
            end = uncertainty_set.project(end + step, x)
        return end


@torch.no_grad()
def _losses(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(net(x).float(), labels, reduction="none")
