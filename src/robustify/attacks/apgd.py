"""Auto-PGD: projected gradient ascent that sets its own step size.

For l2 and l∞ the schedule of Croce and Hein (2020), "Reliable evaluation of adversarial
robustness with an ensemble of diverse parameter-free attacks": the step is halved, and the best
point taken up again, at checkpoints where the loss has stopped rising. For l1 that of Croce and
Hein (2021), "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers": steps
along a few pixels, whose number follows from the sparsity of the best point.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from robustify.attacks.base import (
    Ascent,
    Attack,
    ascend,
    ball_alone,
    ball_in_box,
    likeliest_targets,
    misclassified,
    per_image,
)
from robustify.attacks.losses import cross_entropy, dlr, targeted_dlr
from robustify.limits import require_at_least, require_flags, require_share
from robustify.uncertainty import L1Ball, LinfBall, NormBall, UncertaintySet, finite_direction

# momentum: the share of the new step; the rest goes on in the last direction
_NEW_STEP = 0.75
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
            images = _Images(torch.arange(len(x), device=x.device), x, labels, targets)
            search = _search_of(stage, steps=steps, rho=self.rho, sparse_start=known)
            point, broken = self._climb(net, images, search, point, factor == 1)
        return point, broken

    def _stages(self) -> list[tuple[float, int]]:
        """Return (radius factor, steps) of each stage; the last has the radius itself."""
        if not self.wider_balls_first:
            return [(1.0, self.steps)]
        wider = [(factor, math.ceil(share * self.steps)) for factor, share in _WIDER_BALLS]
        return [*wider, (1.0, max(self.steps - sum(steps for _, steps in wider), 1))]

    def _climb(
        self, net: nn.Module, images: _Images, search: _Search, start: Tensor, stop: bool
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

    def _ascend(self, net: nn.Module, images: _Images, point: Tensor) -> Ascent:
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


@dataclass
class _Images:
    """The images that a climb works on; ``index`` is their place in the batch it began with."""

    index: Tensor
    clean: Tensor
    labels: Tensor
    targets: Tensor

    def select(self, mask: Tensor) -> _Images:
        return _Images(*(getattr(self, field.name)[mask] for field in fields(self)))


@dataclass
class _State:
    """Where a climb stands, image by image.

    Attributes:
        images: what is attacked.
        point: present iterates, (N, C, H, W); ``previous`` those before the last step.
        gradient: loss gradient at ``point``.
        losses: loss of the last iterates, (N,).
        wrong: whether the net gets the last iterates wrong, bool, (N,).
        best: points of highest loss; ``best_loss`` and ``best_gradient`` belong to them.
        step: step sizes, (N,).
        rises: number of steps since the last checkpoint that raised the loss, (N,).
        halved: whether the last checkpoint halved the step, bool, (N,).
        best_at_checkpoint: highest loss at the last checkpoint, (N,).
        support: number of pixels in which ``best`` differed from x at the last checkpoint, (N,).
        share: share of the pixels that the next step moves, (N,).
    """

    images: _Images
    point: Tensor
    previous: Tensor
    gradient: Tensor
    losses: Tensor
    wrong: Tensor
    best: Tensor
    best_loss: Tensor
    best_gradient: Tensor
    step: Tensor
    rises: Tensor
    halved: Tensor
    best_at_checkpoint: Tensor
    support: Tensor
    share: Tensor

    def select(self, mask: Tensor) -> _State:
        if bool(mask.all()):
            return self
        rest = (getattr(self, field.name)[mask] for field in fields(self)[1:])
        return _State(self.images.select(mask), *rest)

    def back_to_best(self, mask: Tensor) -> None:
        self.point = torch.where(per_image(mask), self.best, self.point)
        self.gradient = torch.where(per_image(mask), self.best_gradient, self.gradient)


class _Search(ABC):
    """How a climb moves in a ball and how it sets its step size."""

    def __init__(self, ball: NormBall, *, steps: int) -> None:
        self.ball = ball
        self.steps = steps

    first_step: float
    """Length of the first step as a multiple of the radius."""

    def begin(self, images: _Images, start: Tensor, ascent: Ascent) -> _State:
        zeros = torch.zeros_like(ascent.losses)
        return _State(
            images=images,
            point=start,
            previous=start,
            gradient=ascent.gradient,
            losses=ascent.losses,
            wrong=ascent.logits.argmax(dim=1) != images.labels,
            best=start,
            best_loss=ascent.losses,
            best_gradient=ascent.gradient,
            step=torch.full_like(zeros, self.first_step * self.ball.radius),
            rises=zeros,
            halved=torch.ones_like(zeros, dtype=torch.bool),
            best_at_checkpoint=ascent.losses,
            support=zeros,
            share=zeros,
        )

    def adopt(self, state: _State, point: Tensor, ascent: Ascent) -> None:
        """Take a new iterate into the state."""
        state.previous, state.point, state.gradient = state.point, point, ascent.gradient
        state.wrong = ascent.logits.argmax(dim=1) != state.images.labels
        state.rises = state.rises + (ascent.losses > state.losses)
        state.losses = ascent.losses
        better = ascent.losses > state.best_loss
        state.best = torch.where(per_image(better), point, state.best)
        state.best_gradient = torch.where(per_image(better), ascent.gradient, state.best_gradient)
        state.best_loss = torch.where(better, ascent.losses, state.best_loss)

    @abstractmethod
    def move(self, state: _State, *, first: bool) -> Tensor:
        """Return the next iterates."""

    @abstractmethod
    def adapt(self, state: _State, step: int) -> None:
        """Set step sizes after that many steps."""


class _Momentum(_Search):
    """Search of l2 and l∞ balls: momentum, and steps halved at checkpoints."""

    first_step = 2.0

    def __init__(self, ball: NormBall, *, steps: int, rho: float) -> None:
        super().__init__(ball, steps=steps)
        self.free = ball_alone(ball)
        self.rho = rho
        self.period = max(int(0.22 * steps), 1)
        self.shortest_period = max(int(0.06 * steps), 1)
        self.shortening = max(int(0.03 * steps), 1)
        self.next_checkpoint = self.period

    def move(self, state: _State, *, first: bool) -> Tensor:
        clean = state.images.clean
        direction = self.free.steepest_ascent(state.gradient, state.point, 1.0)
        ahead = self.ball.project(state.point + per_image(state.step) * direction, clean)
        if first:
            return ahead
        momentum = (1 - _NEW_STEP) * (state.point - state.previous)
        onward = state.point + _NEW_STEP * (ahead - state.point) + momentum
        return self.ball.project(onward, clean)

    def adapt(self, state: _State, step: int) -> None:
        if step < self.next_checkpoint:
            return
        oscillates = state.rises <= self.rho * self.period
        stagnates = ~state.halved & (state.best_at_checkpoint >= state.best_loss)
        state.halved = oscillates | stagnates
        state.step = torch.where(state.halved, state.step / 2, state.step)
        state.back_to_best(state.halved)
        state.best_at_checkpoint = state.best_loss
        state.rises = torch.zeros_like(state.rises)
        self.period = max(self.period - self.shortening, self.shortest_period)
        self.next_checkpoint = step + self.period


class _Sparse(_Search):
    """Search of l1 balls: steps along the signs of the steepest pixels, their number adapted."""

    first_step = 1.0

    def __init__(self, ball: NormBall, *, steps: int, sparse_start: bool) -> None:
        super().__init__(ball, steps=steps)
        self.sparse_start = sparse_start
        self.period = max(int(0.04 * steps), 1)

    def begin(self, images: _Images, start: Tensor, ascent: Ascent) -> _State:
        state = super().begin(images, start, ascent)
        pixels = start[0].numel()
        state.support = torch.full_like(state.step, pixels)
        state.share = torch.full_like(state.step, 0.2)
        if self.sparse_start:
            state.support = _support(start, images.clean)
            state.share = state.support / pixels / 1.5
        return state

    def move(self, state: _State, *, first: bool) -> Tensor:
        slopes = finite_direction(state.gradient.flatten(1))
        steepness = slopes.abs()
        pixels = steepness.shape[1]
        rank = ((1 - state.share) * pixels).clamp(0, pixels - 1).long()
        least = steepness.sort(dim=1).values.gather(1, rank[:, None])
        signs = slopes.sign() * (steepness >= least)
        length = signs.abs().sum(dim=1).clamp(min=1)
        step = per_image(state.step / length) * signs.view_as(state.gradient)
        return self.ball.project(state.point + step, state.images.clean)

    def adapt(self, state: _State, step: int) -> None:
        if step % self.period:
            return
        support = _support(state.best, state.images.clean)
        sparser = support < 0.95 * state.support
        longest = self.first_step * self.ball.radius
        state.step = torch.where(sparser, longest, state.step / 1.5).clamp(min=longest / 10)
        state.share = support / state.best[0].numel() / 1.5
        state.support = support
        state.back_to_best(sparser)


def _search_of(ball: NormBall, *, steps: int, rho: float, sparse_start: bool) -> _Search:
    if isinstance(ball, L1Ball):
        return _Sparse(ball, steps=steps, sparse_start=sparse_start)
    return _Momentum(ball, steps=steps, rho=rho)


def _random_start(x: Tensor, ball: NormBall, generator: torch.Generator) -> Tensor:
    if isinstance(ball, LinfBall):
        return ball.sample(x, generator)
    # projected noise is sparse in an l1 ball, where a uniform sample would move every pixel
    noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    return ball.project(x + noise, x)


def _support(point: Tensor, clean: Tensor) -> Tensor:
    """Number of pixels in which two images differ, shape (N,)."""
    return (point != clean).flatten(1).sum(dim=1).to(point.dtype)
