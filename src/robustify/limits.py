"""Limits that numbers must keep: whoever breaks one is told its name, what it is and what would be right."""

from __future__ import annotations

from numbers import Integral, Real

from robustify.errors import InputError, shown

_SEEDS = 2**63


def is_number(value: object) -> bool:
    """Return whether a value is a number, NumPy's included; True and False, which Python counts among them, aren't."""
    return isinstance(value, Real) and not isinstance(value, bool)


def require_at_least(least: int, **counts: int) -> None:
    """Refuse counts below their least value, and what isn't a whole number.

    Raises:
        InputError: naming the first of them.
    """
    for name, value in counts.items():
        if type(value) is not int or value < least:
            raise InputError(f"{name} is {value!r}; it must be a whole number, at least {least}")


def require_seed(seed: int) -> None:
    """Refuse what no generator can be seeded with.

    Raises:
        InputError: saying what it is.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < _SEEDS:
        raise InputError(f"seed is {shown(seed)}; it must be a whole number from 0 to 2**63 - 1")


def require_flags(**flags: bool) -> None:
    """Refuse what is neither True nor False: any text counts as true.

    Raises:
        InputError: naming the first of them.
    """
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InputError(f"{name} is {shown(value)}; it must be True or False")


def require_share(**shares: float) -> None:
    """Refuse numbers outside [0, 1].

    Raises:
        InputError: naming the first of them.
    """
    for name, value in shares.items():
        if not is_number(value) or not 0 <= value <= 1:
            raise InputError(f"{name} is {shown(value)}; it must be in [0, 1]")


def require_relative_step(relative_step: float, *, name: str = "relative_step") -> None:
    """Refuse a length of a step, as a share of a ball's radius, that is no length or leaves the ball wherever it begins.

    Raises:
        InputError: naming it.
    """
    if not is_number(relative_step) or not 0 < relative_step <= 2:
        raise InputError(
            f"{name} is {shown(relative_step)}; it must be in (0, 2]: two radii cross the ball"
        )


def require_reach(steps: int, relative_step: float, *, of: str = "") -> None:
    """Refuse so many steps that are together shorter than the ball's radius.

    Args:
        steps: their number.
        relative_step: length of each as a share of the radius.
        of: what takes them, to begin the message with.

    Raises:
        InputError: naming both.
    """
    # 49 steps of 1/49 are a hair's breadth short of 1 in floating point
    if steps * relative_step < 1 - 1e-9:
        raise InputError(
            f"{of and f'{of}: '}{steps} steps of {relative_step} radii can't cross the ball; raise steps or relative_step"
        )
