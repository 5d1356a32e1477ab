"""Numbers in the words of a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def percent(share: float) -> str:
    """Return a share in per cent."""
    return f"{100 * share:.2f} %"


def points(share: float) -> str:
    """Return a difference of shares in points, with its sign."""
    return f"{100 * share:+.2f}".replace("-", "−")


def points_range(interval: Sequence[float]) -> str:
    """Return an interval of differences, both ends in points."""
    low, high = interval
    return f"{points(low)} to {points(high)}"


def p_values(tests: Iterable[Mapping[str, Any]]) -> str:
    """Return the p of every test."""
    return ", ".join(f"{test['p_value']:.2g}" for test in tests)
