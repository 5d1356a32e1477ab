"""Auto-PGD: projected gradient ascent that sets its own step size.

For l2 and l∞ the schedule of Croce and Hein (2020), "Reliable evaluation of adversarial
robustness with an ensemble of diverse parameter-free attacks": the step is halved, and the best
point taken up again, at checkpoints where the loss has stopped rising. For l1 that of Croce and
Hein (2021), "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers": steps
along a few pixels, whose number follows from the sparsity of the best point.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from robustify.attacks.apgd_search import Attacked, Search, search_of
from robustify.attacks.base import (
    Ascent,
    Attack,
    ascend,
    ball_in_box,
    likeliest_targets,
    misclassified,
)
from robustify.attacks.losses import cross_entropy, dlr, targeted_dlr
from robustify.limits import require_at_least, require_flags, require_share
from robustify.uncertainty import LinfBall, NormBall, UncertaintySet

# l1: first stages in wider balls, as (radius factor, share of the steps)
_WIDER_BALLS = ((3.0, 0.3), (2.0, 0.3))


class _Apgd(Attack):
    """What the losses of Auto-PGD share.

    Args:
        steps: gradient steps a restart, at least 1.
        restarts: random starts (for each target), at least 1.
        wider_balls_first: spend 30 % of the steps each in balls of three and of two times the
            radius before the ball itself; the authors do so for l1.
        rho: the step is halved if the loss rose in at most this share of the steps since the
            last checkpoint.

    Raises:
        ValueError: if a count is below 1 or ``rho`` isn't a share.
    """

    def __init__(
        self,
        *,
        steps: int = 100,
        restarts: int = 1,
        wider_balls_first: bool = False,
        rho: float = 0.75,
    ) -> None:
        require_at_least(1, steps=steps, restarts=restarts)
        require_share(rho=rho)
        require_flags(wider_balls_first=wider_balls_first)
        self.steps = steps
        self.restarts = restarts
        self.wider_balls_first = wider_balls_first
        self.rho = rho

    @abstractmethod
    def losses(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """Return the loss to raise, one value an image, shape (N,)."""

    def targets(self, net: nn.Module, x: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yield the target classes (N,) of each search; a loss without target ignores them."""
        yield labels

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
        standing = (~misclassified(net, x, labels)).nonzero()[:, 0]
        for targets in self.targets(net, x, labels):
            for _ in range(self.restarts):
                if len(standing) == 0:
                    return found
                chosen = (x[standing], labels[standing], targets[standing])
                found[standing], broken = self._restart(net, *chosen, ball, generator)
                standing = standing[~broken]
        return found

    def _restart(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        targets: Tensor,
        ball: NormBall,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        stages = self._stages()
        widest = ball_in_box(ball, scale=stages[0][0])
        point = _random_start(x, widest, generator)
        broken = torch.zeros_like(labels, dtype=torch.bool)
        for factor, steps in stages:
            stage = ball_in_box(ball, scale=factor)
            # a start that comes from elsewhere already says how sparse to be
            known = self.wider_balls_first
            point = stage.project(point, x) if known else point
            images = Attacked(torch.arange(len(x), device=x.device), x, labels, targets)
            search = search_of(stage, steps=steps, rho=self.rho, sparse_start=known)
            point, broken = self._climb(net, images, search, point, factor == 1)
        return point, broken

    def _stages(self) -> list[tuple[float, int]]:
        """Return (radius factor, steps) of each stage; the last has the radius itself."""
        if not self.wider_balls_first:
            return [(1.0, self.steps)]
        wider = [(factor, math.ceil(share * self.steps)) for factor, share in _WIDER_BALLS]
        return [*wider, (1.0, max(self.steps - sum(steps for _, steps in wider), 1))]

    def _climb(
        self, net: nn.Module, images: Attacked, search: Search, start: Tensor, stop: bool
    ) -> tuple[Tensor, Tensor]:
        """Return each image's adversarial point, or its point of highest loss, and which is which.

        With ``stop`` an image is left alone once the net gets it wrong; without, all go on.
        """
        result = start.clone()
        broken = torch.zeros_like(images.labels, dtype=torch.bool)
        state = search.begin(images, start, self._ascend(net, images, start))
        for step in range(search.steps + 1):
            if step > 0:
                point = search.move(state, first=step == 1)
                search.adopt(state, point, self._ascend(net, state.images, point))
            if stop:
                wrong = state.wrong
                result[state.images.index[wrong]] = state.point[wrong]
                broken[state.images.index[wrong]] = True
                state = state.select(~wrong)
                if len(state.point) == 0:
                    break
            if step > 0:
                search.adapt(state, step)
        result[state.images.index] = state.best
        return result, broken

    def _ascend(self, net: nn.Module, images: Attacked, point: Tensor) -> Ascent:
        return ascend(net, point, lambda logits: self.losses(logits, images.labels, images.targets))


class ApgdCrossEntropy(_Apgd):
    """Auto-PGD on the cross entropy."""

    name = "apgd_ce"

    def losses(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(logits, labels)


class ApgdDlr(_Apgd):
    """Auto-PGD on the difference of logits ratio."""

    name = "apgd_dlr"
    least_classes = 3

    def losses(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        return dlr(logits, labels)


class ApgdTargeted(_Apgd):
    """Auto-PGD on the targeted difference of logits ratio, towards the likeliest wrong classes in turn.

    Args:
        target_classes: number of wrong classes tried, at least 1.
        steps: gradient steps a restart, at least 1.
        restarts: random starts for each target, at least 1.
        wider_balls_first: as for the other losses.
        rho: as for the other losses.

    Raises:
        ValueError: if a count is below 1.
    """

    name = "apgd_t"
    least_classes = 4

    def __init__(
        self,
        *,
        target_classes: int = 9,
        steps: int = 100,
        restarts: int = 1,
        wider_balls_first: bool = False,
        rho: float = 0.75,
    ) -> None:
        require_at_least(1, target_classes=target_classes)
        super().__init__(
            steps=steps, restarts=restarts, wider_balls_first=wider_balls_first, rho=rho
        )
        self.target_classes = target_classes

    def losses(self, logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        return targeted_dlr(logits, labels, targets)

    def targets(self, net: nn.Module, x: Tensor, labels: Tensor) -> Iterator[Tensor]:
        yield from likeliest_targets(net, x, labels, self.target_classes).unbind(dim=1)


def _random_start(x: Tensor, ball: NormBall, generator: torch.Generator) -> Tensor:
    if isinstance(ball, LinfBall):
        return ball.sample(x, generator)
    # projected noise is sparse in an l1 ball, where a uniform sample would move every pixel
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return ball.project(x + noise, x)
