"""Maximisers and attacks that parameters name: their steps must be able to cross the ball."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robustify.attacks import Attack, Pgd
from robustify.checks.complaints import Options, problems_of_part
from robustify.errors import InputError
from robustify.limits import require_reach
from robustify.maximisers import Maximiser, ProjectedGradient


def problems_of_climbing(
    key: str,
    registry: Mapping[str, Callable[..., object]],
    options: Options,
    make: Callable[..., Maximiser | Attack],
) -> list[tuple[str, str]]:
    """Return what is wrong with the options of a maximiser or an attack; its steps must be able to cross the ball."""
    problems = [*problems_of_part(key, registry, options, lambda some: make(**some))]
    if problems:
        return problems
    part = make(**options)
    try:
        if isinstance(part, ProjectedGradient | Pgd):
            require_reach(part.steps, part.relative_step)
    except InputError as error:
        return [(key, str(error))]
    return []
