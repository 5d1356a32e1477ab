"""An upper bound of the worst case, by interval bound propagation (Gowal et al., 2018, arXiv:1810.12715)."""

from __future__ import annotations

from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.intervals import interval_of, largest_margins, require_bounds
from robustify.limits import require_share
from robustify.maximisers import SteepestAscent
from robustify.objectives.base import SetObjective
from robustify.uncertainty import LinfBall


class IntervalBound(SetObjective):
    """α J(θ, x, y) + (1 − α) J̄(θ, x, y), with J̄ ≥ the inner maximum of Eq. 9 over an l∞ ball.

    Every other objective looks for a bad input and so bounds the worst case from below. This one bounds it from above: J̄ is the cross
    entropy of the largest margin that each wrong class could have anywhere in the ball, see
    :func:`robustify.intervals.largest_margins`. Nothing is looked for; a step costs about four standard ones.

    It is a bound up to rounding. A training in bfloat16 rounds coarsely: radii that it can't tell from 0 it bounds too low.
    :func:`robustify.measurement.certification.certified_accuracy` certifies in float64, whatever the net was trained in.

    Bounds of an untrained net are so wide that they would drown the clean loss, so α starts at 1 and falls to its value as the
    radius grows (``radius_warmup`` of the recipe).

    Args:
        alpha: weight of the clean loss, in [0, 1].
        options: see :class:`robustify.objectives.base.SetObjective`. The maximiser isn't asked.

    Raises:
        InputError: if ``alpha`` or an option is out of range, labels are smoothed, the set isn't an l∞ ball, or a maximiser was chosen.
    """

    name = "interval_bound"
    compiles = False

    def __init__(self, *, alpha: float = 0.5, **options: Any) -> None:
        super().__init__(**options)
        require_share(alpha=alpha)
        self.alpha = float(alpha)
        if self.label_smoothing:
            # a smoothed loss grows where the margin of an unlikely class falls
            raise InputError(
                f"objective 'interval_bound' bounds the plain cross entropy; label_smoothing is {self.label_smoothing}, set it to 0"
            )
        if not isinstance(self.uncertainty_set, LinfBall):
            raise InputError(
                f"objective 'interval_bound' bounds what an l∞ ball allows, not {self.uncertainty_set.name!r}; "
                "choose uncertainty set linf"
            )
        if not isinstance(self.maximiser, SteepestAscent):
            raise InputError(
                f"objective 'interval_bound' looks for nothing; maximiser {self.maximiser.name!r} has no place in it, "
                "leave it out"
            )

    def check(self, net: nn.Module) -> None:
        require_bounds(net)

    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        if self.alpha == 1:
            return self.loss(net, x, labels)
        margins = largest_margins(net, interval_of(self._ball, x), labels)
        bound = functional.cross_entropy(margins.float(), labels)
        if self.alpha == 0:
            return bound
        return self.alpha * self.loss(net, x, labels) + (1 - self.alpha) * bound

    def at_radius(self, share: float) -> Self:
        twin = super().at_radius(share)
        twin.alpha = 1 - share * (1 - self.alpha)
        return twin

    @property
    def _ball(self) -> LinfBall:
        # not kept apart from the set: a growing radius changes that
        return cast(LinfBall, self.uncertainty_set)
