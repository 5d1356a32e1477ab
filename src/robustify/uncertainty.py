"""Uncertainty sets U(x) of robust optimisation: which inputs may stand in for x.

A set answers three questions in closed form, for every example of a batch on its own:
where a linear function grows fastest inside it (Eq. 11 of Shaham et al., 2015), which of
its points is nearest to a candidate, and what a random point of it looks like.

Images are float tensors of shape (N, ...) on the [0, 1] scale; radii are in the same pixel units.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from robustify.errors import InputError
from robustify.limits import is_number

Step = Literal["box_aware", "literal", "unclipped"]
STEPS: tuple[Step, ...] = ("box_aware", "literal", "unclipped")


class UncertaintySet(ABC):
    """The inputs that an adversary may put in place of x.

    Attributes:
        name: the set's name in configuration, tables and file names.
        radius: size of the set in pixel units of the [0, 1] scale; 0 for a single point.
    """

    name: ClassVar[str]
    radius: float = 0.0

    @abstractmethod
    def steepest_ascent(self, gradient: Tensor, x: Tensor, length: float | None = None) -> Tensor:
        """Return the perturbation that maximises <gradient, perturbation> in U(x) (Eq. 11).

        Args:
            gradient: loss gradient at x, shape (N, ...).
            x: clean images, shape (N, ...), values in [0, 1].
            length: norm of the step; the set's radius if left out.

        Returns:
            Perturbations of shape (N, ...). A zero gradient gives a zero perturbation.
        """

    @abstractmethod
    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Return the point of U(x) nearest to ``candidate`` in Euclidean distance, shape (N, ...)."""

    @abstractmethod
    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return a random point of U(x) for every x, shape (N, ...)."""

    def for_examples(self, indices: Tensor) -> UncertaintySet:
        """Return the set of these training examples, int64, shape (N,); mostly the same for all."""
        return self


class Point(UncertaintySet):
    """The set that holds x alone: Algorithm 1 on it is standard training."""

    name = "point"

    def steepest_ascent(self, gradient: Tensor, x: Tensor, length: float | None = None) -> Tensor:
        return torch.zeros_like(x)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        return x.clone()

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.clone()


class NormBall(UncertaintySet):
    """A norm ball around x, intersected with the pixel box [0, 1] unless its step is unclipped.

    Args:
        radius: in pixel units of the [0, 1] scale.
        step: how the steepest-ascent step treats the box. ``box_aware`` solves Eq. 11 exactly over
            ball and box; ``literal`` takes the step of the ball alone and clips it;
            ``unclipped`` leaves the box, as the authors' training code does.

    Raises:
        ValueError: if the radius isn't a positive finite number or the step is unknown.

    Attributes:
        order: p of the lp norm.
    """

    order: ClassVar[float]

    def __init__(self, *, radius: float, step: Step = "box_aware") -> None:
        self.radius = _positive_radius(self.name, radius)
        if step not in STEPS:
            raise InputError(f"step of {self.name!r} is {step!r}; known: {', '.join(STEPS)}")
        self.step: Step = step

    def steepest_ascent(self, gradient: Tensor, x: Tensor, length: float | None = None) -> Tensor:
        length = self.radius if length is None else length
        if self.step == "box_aware":
            return self._ascend_in_box(self._rows(gradient), self._rows(x), length).view_as(x)
        perturbation = self._ascend(self._rows(gradient), length).view_as(x)
        return perturbation if self.step == "unclipped" else (x + perturbation).clamp(0, 1) - x

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        offset, flat = self._rows(candidate - x), self._rows(x)
        room = torch.full_like(flat, math.inf) if self.step == "unclipped" else _room(offset, flat)
        return x + (offset.sign() * self._shrink(offset.abs(), room)).view_as(x)

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return self.project(x + self._sample_ball(x.flatten(1), generator).view_as(x), x)

    @classmethod
    def norm(cls, perturbation: Tensor) -> Tensor:
        """Return the norm of each perturbation of shape (N, ...), in pixel units, shape (N,)."""
        norms: Tensor = torch.linalg.vector_norm(perturbation.flatten(1), ord=cls.order, dim=1)
        return norms

    @classmethod
    def box_diameter(cls, dimensions: int) -> float:
        """Return the least radius at which every image reaches every other one in the pixel box.

        Args:
            dimensions: pixels of an image, its channels counted.
        """
        return 1.0 if cls.order == math.inf else float(dimensions ** (1 / cls.order))

    def _rows(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    @abstractmethod
    def _ascend(self, gradient: Tensor, length: float) -> Tensor:
        """Steepest-ascent step of the ball alone; (N, D) to (N, D)."""

    @abstractmethod
    def _ascend_in_box(self, gradient: Tensor, x: Tensor, length: float) -> Tensor:
        """Steepest-ascent step of ball ∩ box; (N, D) to (N, D)."""

    @abstractmethod
    def _shrink(self, offset: Tensor, room: Tensor) -> Tensor:
        """Project non-negative offsets (N, D) onto the ball ∩ {0 ≤ offset ≤ room}."""

    @abstractmethod
    def _sample_ball(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform samples of the ball of this radius around zero, shaped like x (N, D)."""


class LinfBall(NormBall):
    """l∞ ball: every pixel may move by up to the radius; its ascent step is FGSM (Eq. 2)."""

    name = "linf"
    order = math.inf

    def _rows(self, images: Tensor) -> Tensor:
        # every pixel goes its own way, so images keep their shape and layout: rows would take longer to copy than a step
        return images

    def _ascend(self, gradient: Tensor, length: float) -> Tensor:
        return length * gradient.sign()

    def _ascend_in_box(self, gradient: Tensor, x: Tensor, length: float) -> Tensor:
        return (x + length * gradient.sign()).clamp(0, 1) - x

    def _shrink(self, offset: Tensor, room: Tensor) -> Tensor:
        return torch.minimum(offset.clamp(max=self.radius), room)

    def _sample_ball(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return (_uniform(x, generator) * 2 - 1) * self.radius


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
        room = _room(gradient, x)
        # the box is no longer than that, and the square of a longer step might be beyond all numbers
        length = min(length, room.shape[1] ** 0.5)
        return gradient.sign() * _fill_to_norm(scaled_to_one(gradient).abs(), room, length)

    def _shrink(self, offset: Tensor, room: Tensor) -> Tensor:
        clipped = torch.minimum(offset, room)
        outside = clipped.norm(dim=1, keepdim=True) > self.radius
        return torch.where(
            outside, _fill_to_norm(scaled_to_one(offset), room, self.radius), clipped
        )

    def _sample_ball(self, x: Tensor, generator: torch.Generator) -> Tensor:
        direction = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        length = _uniform(x[:, :1], generator) ** (1 / x.shape[1])
        unit: Tensor = direction / direction.norm(dim=1, keepdim=True)
        return self.radius * length * unit


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
        room = _room(gradient, x)
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
        gaps = -_uniform(torch.cat([x, x[:, :1]], dim=1), generator).clamp(min=1e-30).log()
        signs = torch.where(_uniform(x, generator) < 0.5, -1.0, 1.0)
        return self.radius * signs * gaps[:, :-1] / gaps.sum(dim=1, keepdim=True)


class TangentBall(UncertaintySet):
    """Tangent plane of the data manifold ∩ l2 ball around x (Eqs. 12 and 13).

    The ascent step is the gradient's projection onto the plane, at length r. Over plane ∩ ball ∩
    pixel box it has no closed form, so there is no box-aware step.

    Args:
        radius: in pixel units of the [0, 1] scale.
        step: ``literal`` clips the step to the pixel box, which takes it off the plane;
            ``unclipped`` stays in the plane and may leave the box.
        bases: maps indices of training examples, int64 (N,), to orthonormal bases of their planes,
            shape (N, d, D), see :class:`robustify.tangents.TangentPlanes`.

    Raises:
        ValueError: if the radius isn't a positive finite number or the step is unknown.
    """

    name = "tangent"

    def __init__(
        self,
        *,
        radius: float,
        step: Step = "literal",
        bases: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.radius = _positive_radius(self.name, radius)
        if step not in ("literal", "unclipped"):
            raise InputError(f"step of {self.name!r} is {step!r}; known: literal, unclipped")
        self.step: Step = step
        self._bases = bases
        self._basis: Tensor | None = None

    def for_examples(self, indices: Tensor) -> TangentBall:
        twin = TangentBall(radius=self.radius, step=self.step, bases=self._bases)
        twin._basis = None if self._bases is None else self._bases(indices)
        return twin

    def steepest_ascent(self, gradient: Tensor, x: Tensor, length: float | None = None) -> Tensor:
        length = self.radius if length is None else length
        tangential = scaled_to_one(self.onto_plane(scaled_to_one(gradient.flatten(1))))
        norm = tangential.norm(dim=1, keepdim=True)
        unit = tangential / norm.where(norm > 0, torch.ones_like(norm))
        return self._in_box(x + (length * unit).view_as(x)) - x

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Return the nearest point of plane ∩ ball, then clipped to the box if the step is literal."""
        offset = self.onto_plane((candidate - x).flatten(1))
        norm = offset.norm(dim=1, keepdim=True)
        shrunk = offset * (self.radius / norm.clamp(min=self.radius))
        return self._in_box(x + shrunk.view_as(x))

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        basis = self._require_basis()
        coordinates = torch.randn(
            basis.shape[:2], generator=generator, device=x.device, dtype=x.dtype
        )
        share = _uniform(coordinates[:, :1], generator) ** (1 / basis.shape[1])
        unit = coordinates / coordinates.norm(dim=1, keepdim=True)
        with torch.autocast(x.device.type, enabled=False):
            offset = torch.einsum("nd,ndp->np", self.radius * share * unit, basis)
        return self._in_box(x + offset.view_as(x))

    def onto_plane(self, offset: Tensor) -> Tensor:
        """Return the orthogonal projection of offsets from x onto the plane; (N, D) to (N, D)."""
        basis = self._require_basis()
        # products would be rounded to bfloat16 in training
        with torch.autocast(offset.device.type, enabled=False):
            coordinates = torch.einsum("ndp,np->nd", basis, offset.float())
            return torch.einsum("nd,ndp->np", coordinates, basis)

    def _in_box(self, candidate: Tensor) -> Tensor:
        return candidate if self.step == "unclipped" else candidate.clamp(0, 1)

    def _require_basis(self) -> Tensor:
        if self._basis is None:
            raise InputError("uncertainty set 'tangent' needs the examples' tangent planes")
        return self._basis


SETS: dict[str, type[UncertaintySet]] = {
    kind.name: kind for kind in (Point, L1Ball, L2Ball, LinfBall, TangentBall)
}


def make_uncertainty_set(name: str, **options: Any) -> UncertaintySet:
    """Return the uncertainty set of that name.

    Raises:
        ValueError: for an unknown name, an option the set doesn't have, or a value out of range.
    """
    if name not in SETS:
        raise InputError(f"uncertainty set {name!r} is unknown; known: {', '.join(SETS)}")
    try:
        return SETS[name](**options)
    except TypeError as error:
        raise InputError(f"uncertainty set {name!r} with options {options}: {error}") from error


# squares of smaller ones are 0 in float32, larger ones infinite themselves
_LEAST_RADIUS, _GREATEST_RADIUS = 1e-18, 1e18


def require_radius_in_box(
    uncertainty_set: UncertaintySet, dimensions: int, *, name: str = "radius"
) -> None:
    """Refuse a radius that reaches beyond the pixel box [0, 1], mostly one in units of bytes; a set without one passes.

    Args:
        uncertainty_set: that has the radius.
        dimensions: pixels of an image, its channels counted.
        name: to call the radius by.

    Raises:
        InputError: naming the radius and how far the box is across.
    """
    if not isinstance(uncertainty_set, NormBall | TangentBall):
        return
    kind = uncertainty_set if isinstance(uncertainty_set, NormBall) else L2Ball
    largest = kind.box_diameter(dimensions)
    if uncertainty_set.radius > largest:
        raise InputError(
            f"{name} is {uncertainty_set.radius}; the pixel box [0, 1] is only {largest:.6g} across"
        )


def _positive_radius(name: str, radius: float) -> float:
    if not is_number(radius) or not 0 < radius < math.inf:
        raise InputError(f"radius of {name!r} is {radius!r}; it must be a finite number > 0")
    if not _LEAST_RADIUS <= radius <= _GREATEST_RADIUS:
        raise InputError(
            f"radius of {name!r} is {float(min(radius, 10**300)):g}; it must be from {_LEAST_RADIUS:g} to {_GREATEST_RADIUS:g}"
        )
    return float(radius)


# sums of squares below have lost terms of float32's smallest numbers
_LOST = 1e-30


def perturbation_norm(name: str, perturbation: Tensor) -> Tensor:
    """Return the norm of each perturbation of shape (N, ...), as the ball of that name measures it, shape (N,).

    Raises:
        InputError: if no norm ball has that name.
    """
    kind = SETS.get(name)
    if kind is None or not issubclass(kind, NormBall):
        balls = ", ".join(name for name, kind in SETS.items() if issubclass(kind, NormBall))
        raise InputError(f"norm {name!r} is unknown; known: {balls}")
    return kind.norm(perturbation)


def _room(direction: Tensor, x: Tensor) -> Tensor:
    """How far each pixel can move along the sign of ``direction`` before it leaves [0, 1]."""
    # arithmetic on signs, for masks of booleans take several times longer on a CPU
    sign = direction.sign()
    return (sign.clamp(min=0) - sign * x).clamp_(min=0)


def _largest(magnitude: Tensor, count: int) -> Tensor:
    """Return the indices of each row's largest entries in falling order; of equals, the first comes first."""
    dimensions = magnitude.shape[1]
    if magnitude.dtype == torch.float64:
        return magnitude.sort(dim=1, descending=True, stable=True).indices[:, :count]
    # non-negative floats sort like their bits, so bits and falling index make a key without ties
    keys = magnitude.float().view(torch.int32).long() << 32
    keys += torch.arange(dimensions - 1, -1, -1, device=magnitude.device)
    return keys.topk(min(count, dimensions), dim=1).indices


def scaled_to_one(gradient: Tensor) -> Tensor:
    """Return each row, shape (N, D), divided by its largest magnitude; slopes that are infinite or no number as in :func:`finite_direction`."""
    # squares of small float32 gradients underflow, so bring the largest entry to 1 first
    largest = gradient.abs().amax(dim=1, keepdim=True)
    if not bool(largest.isfinite().all()):
        gradient = finite_direction(gradient)
        largest = gradient.abs().amax(dim=1, keepdim=True)
    return gradient / largest.where(largest > 0, torch.ones_like(largest))


def finite_direction(gradient: Tensor) -> Tensor:
    """Return the direction of gradients in which slopes are infinite, and those alone count, or no number, and count for nothing."""
    infinite = gradient.isinf()
    steepest = infinite.any(dim=1, keepdim=True)
    known = gradient.nan_to_num(nan=0.0)
    return torch.where(steepest, infinite * known.sign(), known)


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


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
