"""The l1 ball."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustify.uncertainty.norm_ball import NormBall, room_of
from robustify.uncertainty.sampling import uniform


class L1Ball(NormBall):
    """l1 ball: the ascent step spends its budget on the pixels of largest gradient, often on one."""

    name = "l1"
    order = 1

    def _ascend(self, gradient: Tensor, length: float) -> Tensor:
        # argmax of equal entries is unspecified; the first maximum must win
        # a slope that is no number counts for nothing
        magnitude = gradient.abs().nan_to_num(nan=0.0, posinf=math.inf)
        largest = magnitude.amax(dim=1, keepdim=True)
        first = (magnitude == largest).to(torch.int8).argmax(dim=1, keepdim=True)
        step = length * gradient.gather(1, first).sign()
        return torch.zeros_like(gradient).scatter_(1, first, step)

    def _ascend_in_box(self, gradient: Tensor, x: Tensor, length: float) -> Tensor:
        room = room_of(gradient, x)
        # a few pixels usually take the whole budget; only if they don't, look at more of them
        count = 16
        while True:
            steepest = _largest(gradient.abs() * (room > 0), count)
            available = room.gather(1, steepest)
            enough = bool((available.sum(dim=1) >= length).all())
            if enough or count >= room.shape[1]:
                break
            count *= 8
        spent = available.double().cumsum(dim=1) - available
        poured = torch.minimum((length - spent).clamp(min=0).to(room.dtype), available)
        return torch.zeros_like(room).scatter_(1, steepest, poured) * gradient.sign()

    def _shrink(self, offset: Tensor, room: Tensor) -> Tensor:
        # in float64, for the difference may be far smaller than what it is of
        threshold = _soft_threshold(offset, room, self.radius)
        shrunk = torch.minimum((offset.double() - threshold).clamp(min=0), room.double())
        return shrunk.to(offset.dtype)

    def _sample_ball(self, x: Tensor, generator: torch.Generator) -> Tensor:
        # exponential gaps, one more than dimensions, give the uniform law on the solid l1 ball
        gaps = -uniform(torch.cat([x, x[:, :1]], dim=1), generator).clamp(min=1e-30).log()
        signs = torch.where(uniform(x, generator) < 0.5, -1.0, 1.0)
        return self.radius * signs * gaps[:, :-1] / gaps.sum(dim=1, keepdim=True)


def _largest(magnitude: Tensor, count: int) -> Tensor:
    """Return the indices of each row's largest entries in falling order; of equals, the first comes first."""
    dimensions = magnitude.shape[1]
    if magnitude.dtype == torch.float64:
        return magnitude.sort(dim=1, descending=True, stable=True).indices[:, :count]
    # non-negative floats sort like their bits, so bits and falling index make a key without ties
    keys = magnitude.float().view(torch.int32).long() << 32
    keys += torch.arange(dimensions - 1, -1, -1, device=magnitude.device)
    return keys.topk(min(count, dimensions), dim=1).indices


def _soft_threshold(offset: Tensor, room: Tensor, budget: float) -> Tensor:
    """Return τ ≥ 0, float64, shape (N, 1), with Σ min(max(offset − τ, 0), room) = budget, or 0 if that sum is smaller.

    The sum is piecewise linear in τ with kinks at offset and offset − room, so τ is found by
    sorting the kinks and interpolating between the two that enclose the budget.
    """
    offset, room = _moved(offset, torch.minimum(room, offset))
    kinks = torch.cat([offset, offset - room], dim=1)
    slopes = torch.cat([torch.ones_like(offset), -torch.ones_like(offset)], dim=1) * (
        torch.cat([room, room], dim=1) > 0
    )
    kinks, order = kinks.sort(dim=1, descending=True)
    slope = slopes.gather(1, order).cumsum(dim=1)
    gaps = -kinks.diff(dim=1)
    total = torch.cat([torch.zeros_like(kinks[:, :1]), (slope[:, :-1] * gaps).cumsum(dim=1)], dim=1)
    last = ((total < budget).sum(dim=1, keepdim=True) - 1).clamp(min=0)
    missing = budget - total.gather(1, last)
    rate = slope.gather(1, last)
    threshold = kinks.gather(1, last) - missing / rate.where(rate > 0, torch.ones_like(rate))
    reached = room.sum(dim=1, keepdim=True) > budget
    return torch.where(reached, threshold, 0).clamp(min=0)


def _moved(offset: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Return offsets and rooms, float64, of as many pixels as have room where most do."""
    count = max((room > 0).sum(dim=1).tolist(), default=0) or 1
    # l1 attacks move few pixels, and all that is sorted is what moved
    if 2 * count < room.shape[1]:
        places = torch.where(room > 0, offset, 0).topk(count, dim=1).indices
        offset, room = offset.gather(1, places), room.gather(1, places)
    return offset.double(), room.double()
