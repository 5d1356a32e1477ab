"""Sizes of perturbations as people write them: 0.3, but 8/255."""

from __future__ import annotations

_LEVELS = 255


def size_label(size: float) -> str:
    """Return a radius or an epsilon, in units of [0, 1], in as few digits as say it exactly.

    A short decimal stays one. What isn't one but is a number of the 255 grey levels to a tenth is
    written as such (``8/255``, ``0.2/255``), the rest with four digits.
    """
    decimal = f"{size:.4g}"
    if float(decimal) == size:
        return decimal
    levels = round(_LEVELS * size, 1)
    # names of columns have six digits
    if levels and abs(levels / _LEVELS - size) < 5e-6 * size:
        return f"{levels:g}/{_LEVELS}"
    return decimal
