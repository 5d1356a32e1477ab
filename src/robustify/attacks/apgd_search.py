"""How Auto-PGD searches: where a climb stands, how it moves in a ball, and how it sets its step size.

Steps of l2 and l∞ after Croce and Hein (2020), of l1 after Croce and Hein (2021), see :mod:`robustify.attacks.apgd`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from robustify.attacks.base import Ascent, ball_alone, per_image
from robustify.uncertainty import L1Ball, NormBall, finite_direction

# momentum: the share of the new step; the rest goes on in the last direction
_NEW_STEP = 0.75


@dataclass
class Attacked:
    """The images that a climb works on; ``index`` is their place in the batch it began with."""

    index: Tensor
    clean: Tensor
    labels: Tensor
    targets: Tensor

    def select(self, mask: Tensor) -> Attacked:
        return Attacked(*(getattr(self, field.name)[mask] for field in fields(self)))


@dataclass
class State:
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

    images: Attacked
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

    def select(self, mask: Tensor) -> State:
        if bool(mask.all()):
            return self
        rest = (getattr(self, field.name)[mask] for field in fields(self)[1:])
        return State(self.images.select(mask), *rest)

    def back_to_best(self, mask: Tensor) -> None:
        self.point = torch.where(per_image(mask), self.best, self.point)
        self.gradient = torch.where(per_image(mask), self.best_gradient, self.gradient)


class Search(ABC):
    """How a climb moves in a ball and how it sets its step size."""

    def __init__(self, ball: NormBall, *, steps: int) -> None:
        self.ball = ball
        self.steps = steps

    first_step: float
    """Length of the first step as a multiple of the radius."""

    def begin(self, images: Attacked, start: Tensor, ascent: Ascent) -> State:
        zeros = torch.zeros_like(ascent.losses)
        return State(
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

    def adopt(self, state: State, point: Tensor, ascent: Ascent) -> None:
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
    def move(self, state: State, *, first: bool) -> Tensor:
        """Return the next iterates."""

    @abstractmethod
    def adapt(self, state: State, step: int) -> None:
        """Set step sizes after that many steps."""


class _Momentum(Search):
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

    def move(self, state: State, *, first: bool) -> Tensor:
        clean = state.images.clean
        direction = self.free.steepest_ascent(state.gradient, state.point, 1.0)
        ahead = self.ball.project(state.point + per_image(state.step) * direction, clean)
        if first:
            return ahead
        momentum = (1 - _NEW_STEP) * (state.point - state.previous)
        onward = state.point + _NEW_STEP * (ahead - state.point) + momentum
        return self.ball.project(onward, clean)

    def adapt(self, state: State, step: int) -> None:
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


class _Sparse(Search):
    """Search of l1 balls: steps along the signs of the steepest pixels, their number adapted."""

    first_step = 1.0

    def __init__(self, ball: NormBall, *, steps: int, sparse_start: bool) -> None:
        super().__init__(ball, steps=steps)
        self.sparse_start = sparse_start
        self.period = max(int(0.04 * steps), 1)

    def begin(self, images: Attacked, start: Tensor, ascent: Ascent) -> State:
        state = super().begin(images, start, ascent)
        pixels = start[0].numel()
        state.support = torch.full_like(state.step, pixels)
        state.share = torch.full_like(state.step, 0.2)
        if self.sparse_start:
            state.support = _support(start, images.clean)
            state.share = state.support / pixels / 1.5
        return state

    def move(self, state: State, *, first: bool) -> Tensor:
        slopes = finite_direction(state.gradient.flatten(1))
        steepness = slopes.abs()
        pixels = steepness.shape[1]
        rank = ((1 - state.share) * pixels).clamp(0, pixels - 1).long()
        least = steepness.sort(dim=1).values.gather(1, rank[:, None])
        signs = slopes.sign() * (steepness >= least)
        length = signs.abs().sum(dim=1).clamp(min=1)
        step = per_image(state.step / length) * signs.view_as(state.gradient)
        return self.ball.project(state.point + step, state.images.clean)

    def adapt(self, state: State, step: int) -> None:
        if step % self.period:
            return
        support = _support(state.best, state.images.clean)
        sparser = support < 0.95 * state.support
        longest = self.first_step * self.ball.radius
        state.step = torch.where(sparser, longest, state.step / 1.5).clamp(min=longest / 10)
        state.share = support / state.best[0].numel() / 1.5
        state.support = support
        state.back_to_best(sparser)


def search_of(ball: NormBall, *, steps: int, rho: float, sparse_start: bool) -> Search:
    """Return the search of that ball; only l1 asks how sparse to begin, only the others when to halve a step."""
    if isinstance(ball, L1Ball):
        return _Sparse(ball, steps=steps, sparse_start=sparse_start)
    return _Momentum(ball, steps=steps, rho=rho)


def _support(point: Tensor, clean: Tensor) -> Tensor:
    """Number of pixels in which two images differ, shape (N,)."""
    return (point != clean).flatten(1).sum(dim=1).to(point.dtype)
