"""Norm balls around x, mostly intersected with the pixel box."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from robustify.errors import InputError
from robustify.uncertainty.base import STEPS, Step, UncertaintySet, positive_radius


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
        self.radius = positive_radius(self.name, radius)
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
        room = (
            torch.full_like(flat, math.inf) if self.step == "unclipped" else room_of(offset, flat)
        )
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


def room_of(direction: Tensor, x: Tensor) -> Tensor:
    """Return how far each pixel can move along the sign of ``direction`` before it leaves [0, 1]."""
    # arithmetic on signs, for masks of booleans take several times longer on a CPU
    sign = direction.sign()
    return (sign.clamp(min=0) - sign * x).clamp_(min=0)
