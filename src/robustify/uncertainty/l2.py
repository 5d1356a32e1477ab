"""The l2 ball."""

from __future__ import annotations

import torch
from torch import Tensor

from robustify.uncertainty.directions import scaled_to_one
from robustify.uncertainty.norm_ball import NormBall, room_of
from robustify.uncertainty.sampling import uniform


class L2Ball(NormBall):
    """l2 ball: the ascent step follows the gradient."""

    name = "l2"
    order = 2

    def _ascend(self, gradient: Tensor, length: float) -> Tensor:
        scaled = scaled_to_one(gradient)
        norm = scaled.norm(dim=1, keepdim=True)
        unit: Tensor = scaled / norm.where(norm > 0, torch.ones_like(norm))
        return length * unit

    def _ascend_in_box(self, gradient: Tensor, x: Tensor, length: float) -> Tensor:
        room = room_of(gradient, x)
        # the box is no longer than that, and the square of a longer step might be beyond all numbers
        length = min(length, room.shape[1] ** 0.5)
        slope = scaled_to_one(gradient, room=room).abs()
        return gradient.sign() * _fill_to_norm(slope, room, length)

    def _shrink(self, offset: Tensor, room: Tensor) -> Tensor:
        clipped = torch.minimum(offset, room)
        outside = clipped.norm(dim=1, keepdim=True) > self.radius
        return torch.where(
            outside, _fill_to_norm(scaled_to_one(offset), room, self.radius), clipped
        )

    def _sample_ball(self, x: Tensor, generator: torch.Generator) -> Tensor:
        direction = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        length = uniform(x[:, :1], generator) ** (1 / x.shape[1])
        unit: Tensor = direction / direction.norm(dim=1, keepdim=True)
        return self.radius * length * unit


# sums of squares below have lost terms of float32's smallest numbers
_LOST = 1e-30


def _fill_to_norm(slope: Tensor, room: Tensor, length: float) -> Tensor:
    """Return min(λ·slope, room) with λ such that its l2 norm is ``length``, or ``room`` if that is shorter.

    Pixels that reach their room stay there, so λ only grows and the loop ends after at most D
    rounds (a handful in practice), each row independent of the others.
    """
    # an unbounded room would make 0·∞ below. No pixel goes further than the whole step, so with a little more than that none is
    # taken to have reached it by rounding, which would leave the others nothing but rounding
    room = room.clamp(max=1.001 * length)
    squared_slope, squared_room = slope.square(), room.square()
    least = torch.finfo(slope.dtype).tiny
    # 1 where a pixel is short of its room, 0 where it has reached it: numbers, for booleans are slow on a CPU
    free = room.sign()
    count = free.sum(1, dtype=torch.float32)
    while True:
        budget = (length**2 - ((1 - free) * squared_room).sum(1, keepdim=True)).clamp_(min=0)
        rate = (free * squared_slope).sum(1, keepdim=True).clamp_(min=least)
        step = budget.sqrt() / rate.sqrt() * slope
        still_free = (room - step).sign_().clamp_(min=0).mul_(free)
        before, count = count, still_free.sum(1, dtype=torch.float32)
        # a row of NaN compares false, so it ends the loop as well
        if not bool((count < before).any()):
            return _refilled(torch.lerp(room, step, free), slope, free, rate, room, length)
        free = still_free


def _refilled(
    filled: Tensor, slope: Tensor, free: Tensor, rate: Tensor, room: Tensor, length: float
) -> Tensor:
    """Return the steps anew, in float64, of rows whose free slopes are so small that their squares were lost."""
    if slope.dtype == torch.float64 or not bool((rate < _LOST).any()):
        return filled
    lost = (rate < _LOST) & ((free * slope).amax(dim=1, keepdim=True) > 0)
    again = _fill_to_norm(slope.double(), room.double(), length).to(slope.dtype)
    return torch.where(lost, again, filled)
