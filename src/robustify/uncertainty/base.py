"""What every uncertainty set answers, and how its radius may be."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

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
        """Return a random point of U(x) for every x, shape (N, ...).

        Uniform where the set lies inside the pixel box; what would lie outside is moved to its border.
        """

    def for_examples(self, indices: Tensor) -> UncertaintySet:
        """Return the set of these training examples, int64, shape (N,); mostly the same for all."""
        return self


# squares of smaller ones are 0 in float32, larger ones infinite themselves
_LEAST_RADIUS, _GREATEST_RADIUS = 1e-18, 1e18


def positive_radius(name: str, radius: float) -> float:
    """Return the radius as a float.

    Raises:
        InputError: naming the set, if it isn't a finite number > 0 or its square can't be computed with.
    """
    if not is_number(radius) or not 0 < radius < math.inf:
        raise InputError(f"radius of {name!r} is {radius!r}; it must be a finite number > 0")
    if not _LEAST_RADIUS <= radius <= _GREATEST_RADIUS:
        raise InputError(
            f"radius of {name!r} is {float(min(radius, 10**300)):g}; it must be from {_LEAST_RADIUS:g} to {_GREATEST_RADIUS:g}"
        )
    return float(radius)
