"""Projected gradient descent with random restarts (Madry et al., 2018)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from robustify.attacks.base import Attack, ascend, ball_in_box, misclassified
from robustify.attacks.losses import cross_entropy
from robustify.attacks.sparse_ascent import spread_step, values_moved
from robustify.limits import require_at_least, require_flags, require_relative_step
from robustify.uncertainty import L1Ball, NormBall, UncertaintySet


class Pgd(Attack):
    """Steepest-ascent steps on the cross entropy, each projected back, from several starts.

    An image is left alone as soon as the net gets it wrong, unless all steps are asked for. In l1 the first of several steps move more
    than one value at every other start, the first one included, see :mod:`robustify.attacks.sparse_ascent`; a single start is climbed
    from both ways.

    Args:
        steps: steps a restart, at least 1.
        restarts: number of starts, at least 1.
        relative_step: length of a step as a share of the set's radius.
        random_start: begin at random points of the set; without it only the restarts after
            the first do.
        stop_at_success: leave an image alone once the net gets it wrong. Without it every image
            takes all steps of the first start, which makes examples that fool other nets, too.

    Raises:
        ValueError: if a count is below 1 or ``relative_step`` isn't in (0, 2].
    """

    name = "pgd"

    def __init__(
        self,
        *,
        steps: int = 50,
        restarts: int = 10,
        relative_step: float = 0.1,
        random_start: bool = True,
        stop_at_success: bool = True,
    ) -> None:
        require_at_least(1, steps=steps, restarts=restarts)
        require_relative_step(relative_step)
        require_flags(random_start=random_start, stop_at_success=stop_at_success)
        self.steps = steps
        self.restarts = restarts
        self.relative_step = relative_step
        self.random_start = random_start
        self.stop_at_success = stop_at_success

    def run(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        ball = ball_in_box(uncertainty_set)
        found = x.detach().clone()
        begin = ~misclassified(net, x, labels) | (not self.stop_at_success)
        standing = begin.nonzero()[:, 0]
        for restart in range(self.restarts):
            if len(standing) == 0:
                break
            start = x[standing]
            if self.random_start or restart:
                start = ball.sample(start, generator)
            for spread in self._ways(ball, restart):
                if len(standing) == 0:
                    break
                found[standing], still = self._climb(
                    net, x[standing], labels[standing], ball, start, spread
                )
                standing, start = standing[still], start[still]
        return found

    def _ways(self, ball: NormBall, restart: int) -> list[bool]:
        """Return whether a start is climbed from by steps on many values; which goes further depends on the net."""
        if not isinstance(ball, L1Ball) or self.steps == 1:
            return [False]
        return [True, False] if self.restarts == 1 else [restart % 2 == 0]

    def _climb(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        ball: NormBall,
        start: Tensor,
        spread: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return the last point of every image and the indices of those still right."""
        point, active = start.clone(), torch.arange(len(x), device=x.device)
        length = self.relative_step * ball.radius
        for done in range(self.steps):
            loss = partial(cross_entropy, labels=labels[active])
            ascent = ascend(net, point[active], loss)
            gradient = ascent.gradient
            if self.stop_at_success:
                right = ascent.logits.argmax(dim=1) == labels[active]
                active, gradient = active[right], gradient[right]
            if len(active) == 0:
                return point, active
            values = values_moved(done, steps=self.steps, dimensions=x[0].numel()) if spread else 1
            # a longer step than that moves as many by itself, for none has more room than 1
            if values > max(1.0, length):
                step = spread_step(gradient, point[active], length=length, values=values)
            else:
                step = ball.steepest_ascent(gradient, point[active], length)
            point[active] = ball.project(point[active] + step, x[active])
        return point, active[~misclassified(net, point[active], labels[active])]
