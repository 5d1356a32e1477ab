"""Uncertainty sets U(x) of robust optimisation: which inputs may stand in for x.

A set answers three questions in closed form, for every example of a batch on its own:
where a linear function grows fastest inside it (Eq. 11 of Shaham et al., 2015), which of
its points is nearest to a candidate, and what a random point of it looks like.

Images are float tensors of shape (N, ...) on the [0, 1] scale; radii are in the same pixel units.

A set is one class and one line in ``SETS``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from robustify.errors import InputError
from robustify.named import make_named
from robustify.uncertainty.base import STEPS, Step, UncertaintySet
from robustify.uncertainty.directions import finite_direction, scaled_to_one
from robustify.uncertainty.l1 import L1Ball
from robustify.uncertainty.l2 import L2Ball
from robustify.uncertainty.linf import LinfBall
from robustify.uncertainty.norm_ball import NormBall, room_of
from robustify.uncertainty.point import Point
from robustify.uncertainty.tangent import TangentBall

__all__ = [
    "SETS",
    "STEPS",
    "L1Ball",
    "L2Ball",
    "LinfBall",
    "NormBall",
    "Point",
    "Step",
    "TangentBall",
    "UncertaintySet",
    "finite_direction",
    "make_uncertainty_set",
    "perturbation_norm",
    "require_radius_in_box",
    "room_of",
    "scaled_to_one",
]

SETS: dict[str, type[UncertaintySet]] = {
    kind.name: kind for kind in (Point, L1Ball, L2Ball, LinfBall, TangentBall)
}


def make_uncertainty_set(name: str, **options: Any) -> UncertaintySet:
    """Return the uncertainty set of that name.

    Raises:
        ValueError: for an unknown name, an option the set doesn't have, or a value out of range.
    """
    return make_named("uncertainty set", SETS, name, options)


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
