"""Balls that parameters name: known ones, of a radius that the pixel box has room for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from robustify.checks.complaints import Options, Problems, problems_of_part
from robustify.checks.subject import Subject
from robustify.uncertainty import (
    SETS,
    NormBall,
    UncertaintySet,
    make_uncertainty_set,
    require_radius_in_box,
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
        require_room(subject, make_uncertainty_set(**options))

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


def require_room(
    subject: Subject, uncertainty_set: UncertaintySet, *, name: str = "radius"
) -> None:
    """Refuse a radius that reaches beyond the pixel box of the data; a set without one passes.

    Args:
        subject: whose parameters they are.
        uncertainty_set: that has the radius.
        name: of the parameter that gives it.

    Raises:
        InputError: naming the radius and how far the box is across.
    """
    if subject.data is not None:
        require_radius_in_box(uncertainty_set, math.prod(subject.data.image_shape), name=name)
