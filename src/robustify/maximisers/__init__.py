"""Maximisers of Eq. 10, by name: how the worst input of an uncertainty set is looked for.

A maximiser knows nothing of norms; it asks the uncertainty set. It leaves no gradient
on the net's weights. It is one class and one line in ``MAXIMISERS``.
"""

from __future__ import annotations

from robustify.maximisers.base import Maximiser
from robustify.maximisers.projected_gradient import ProjectedGradient
from robustify.maximisers.steepest_ascent import SteepestAscent
from robustify.named import make_named

__all__ = ["MAXIMISERS", "Maximiser", "ProjectedGradient", "SteepestAscent", "make_maximiser"]

MAXIMISERS: dict[str, type[Maximiser]] = {
    kind.name: kind for kind in (SteepestAscent, ProjectedGradient)
}


def make_maximiser(name: str = SteepestAscent.name, **options: float | bool) -> Maximiser:
    """Return the maximiser of that name.

    Raises:
        ValueError: for an unknown name, an option the maximiser doesn't have, or a value out of range.
    """
    return make_named("maximiser", MAXIMISERS, name, options)
