"""Shares as tables give them: in per cent, with two decimals."""

from __future__ import annotations


def percent(share: float | None) -> float | None:
    """Return a share, from 0 to 1, in per cent; nothing of none."""
    return None if share is None else round(100 * share, 2)
