"""Balls that parameters name: known ones, of a radius that the pixel box has room for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from robustify.checks.complaints import Options, Problems, problems_of_part
from robustify.checks.subject import Subject
from robustify.errors import InputError
from robustify.uncertainty import (
    SETS,
    L2Ball,
    NormBall,
    TangentBall,
    UncertaintySet,
    make_uncertainty_set,
)

_BALLS = {name: kind for name, kind in SETS.items() if issubclass(kind, NormBall)}


def problems_of_ball(subject: Subject, key: str, norm: str, ball: Mapping[str, Any]) -> Problems:
    """Yield what is wrong with a norm ball.

    Args:
        subject: whose parameters name it.
        key: of the ball.
        norm: its name.
        ball: its options.
    """
    if norm in SETS and norm not in _BALLS:
        yield key, f"{norm!r} is no norm ball; known: {', '.join(_BALLS)}"
        return

    def make(options: Options) -> None:
        require_radius_in_box(subject, make_uncertainty_set(**options))

    yield from problems_of_part(key, _BALLS, {"name": norm, **ball}, make)


def problems_of_balls(subject: Subject, key: str, radii: Mapping[Any, list[float]]) -> Problems:
    """Yield what is wrong with radii.

    Args:
        subject: whose parameters they are.
        key: of the radii; the norm follows.
        radii: by norm.
    """
    for norm, all_ in radii.items():
        for radius in all_:
            yield from problems_of_ball(subject, f"{key}.{norm}", norm, {"radius": radius})


def require_radius_in_box(subject: Subject, uncertainty_set: UncertaintySet) -> None:
    """Refuse a radius that reaches beyond the pixel box of the data; a set without one passes.

    Raises:
        InputError: naming the radius and how far the box is across.
    """
    if subject.data is None:
        return
    dimensions = math.prod(subject.data.image_shape)
    if isinstance(uncertainty_set, NormBall):
        largest = uncertainty_set.box_diameter(dimensions)
    elif isinstance(uncertainty_set, TangentBall):
        largest = L2Ball.box_diameter(dimensions)
    else:
        return
    if uncertainty_set.radius > largest:
        raise InputError(
            f"radius is {uncertainty_set.radius}; the pixel box [0, 1] is only {largest:.6g} across"
        )
