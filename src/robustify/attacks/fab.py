"""Fast Adaptive Boundary attack: looks for the nearest misclassified point, whatever the radius.

Croce and Hein (2020), "Minimally distorted adversarial examples with a fast adaptive boundary
attack", in its targeted form: the decision boundary between the true and a target class is
linearised, and iterates are projected onto that hyperplane within the box [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from robustify.attacks.base import (
    Attack,
    ascend,
    ball_in_box,
    likeliest_targets,
    misclassified,
    per_image,
)
from robustify.errors import InputError
from robustify.limits import require_at_least, require_share
from robustify.uncertainty import (
    NormBall,
    UncertaintySet,
    finite_direction,
    perturbation_norm,
)

# a distance of zero would make the weights of the two projections undefined
_SHORTEST = 1e-8


class FabTargeted(Attack):
    """Minimal-distance search towards the likeliest wrong classes in turn.

    An attack succeeds on an image if the nearest misclassified point lies in the ball.

    Args:
        steps: iterations a target, at least 1.
        target_classes: number of wrong classes tried, at least 1.
        greatest_bias: greatest weight of the clean image's own projection (alpha_max).
        overshoot: factor by which a step goes past the hyperplane (eta).
        backward: share of its perturbation that a misclassified iterate keeps (beta).

    Raises:
        ValueError: if a count is below 1 or a factor is out of range.
    """

    name = "fab_t"

    def __init__(
        self,
        *,
        steps: int = 100,
        target_classes: int = 9,
        greatest_bias: float = 0.1,
        overshoot: float = 1.05,
        backward: float = 0.9,
    ) -> None:
        require_at_least(1, steps=steps, target_classes=target_classes)
        require_share(greatest_bias=greatest_bias)
        if not overshoot >= 1:
            raise InputError(f"overshoot is {overshoot}; it must be at least 1")
        if not 0 < backward < 1:
            raise InputError(f"backward is {backward}; it must be between 0 and 1")
        self.steps = steps
        self.target_classes = target_classes
        self.greatest_bias = greatest_bias
        self.overshoot = overshoot
        self.backward = backward

    def run(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        ball = ball_in_box(uncertainty_set)
        if ball.name not in PROJECTIONS:
            raise InputError(
                f"{self.name} attacks {', '.join(PROJECTIONS)}; the set is {ball.name!r}"
            )
        found = x.detach().clone()
        standing = (~misclassified(net, x, labels)).nonzero()[:, 0]
        for targets in likeliest_targets(net, x, labels, self.target_classes).unbind(dim=1):
            if len(standing) == 0:
                break
            chosen = (x[standing], labels[standing], targets[standing])
            nearest, broken = self._approach(net, *chosen, ball)
            found[standing[broken]] = nearest[broken]
            standing = standing[~broken]
        return found

    def _approach(
        self, net: nn.Module, x: Tensor, labels: Tensor, targets: Tensor, ball: NormBall
    ) -> tuple[Tensor, Tensor]:
        """Return a misclassified point in the ball for each image, and whether there is one; it is left alone from then on."""
        norm, project = ball.name, PROJECTIONS[ball.name]
        found, broken = x.clone(), torch.zeros_like(labels, dtype=torch.bool)
        active = torch.arange(len(x), device=x.device)
        point = x
        for _ in range(self.steps):
            _, gap, slope = ascend(net, point, partial(_difference, labels=labels, targets=targets))
            slope = finite_direction(slope.flatten(1)).view_as(slope)
            offset = project(point, slope, -gap)
            change = (slope * (x - point)).flatten(1).sum(dim=1)
            from_clean = project(x, slope, -gap - change)
            bias = self._bias(offset, from_clean, norm)
            point = (
                (1 - bias) * (point + self.overshoot * offset)
                + bias * (x + self.overshoot * from_clean)
            ).clamp(0, 1)
            wrong = misclassified(net, point, labels)
            inside = wrong & (perturbation_norm(norm, point - x) <= ball.radius)
            found[active[inside]], broken[active[inside]] = point[inside], True
            point = torch.where(per_image(wrong), x + self.backward * (point - x), point)
            if bool(inside.any()):
                active, point, x, labels, targets = (
                    part[~inside] for part in (active, point, x, labels, targets)
                )
            if len(active) == 0:
                break
        return found, broken

    def _bias(self, offset: Tensor, from_clean: Tensor, norm: str) -> Tensor:
        own = perturbation_norm(norm, offset).clamp(min=_SHORTEST)
        clean = perturbation_norm(norm, from_clean).clamp(min=_SHORTEST)
        return per_image((own / (own + clean)).clamp(max=self.greatest_bias))


def _difference(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    difference: Tensor = logits.gather(1, targets[:, None]) - logits.gather(1, labels[:, None])
    return difference[:, 0]


def project_l1(point: Tensor, slope: Tensor, rise: Tensor) -> Tensor:
    """Return the perturbation of least l1 norm that :func:`project_linf` describes."""
    direction, steepness, room, target = _oriented(point, slope, rise)
    order = steepness.argsort(dim=1, descending=True, stable=True)
    steepest = steepness.gather(1, order)
    available = steepest * room.gather(1, order)
    spent = available.cumsum(dim=1) - available
    poured = torch.minimum((target - spent).clamp(min=0), available)
    moved = poured / steepest.where(steepest > 0, torch.ones_like(steepest))
    moved = torch.zeros_like(room).scatter_(1, order, moved)
    return (direction * torch.minimum(moved, room)).to(point.dtype).view_as(point)


def project_l2(point: Tensor, slope: Tensor, rise: Tensor) -> Tensor:
    """Return the perturbation of least l2 norm that :func:`project_linf` describes."""
    direction, steepness, room, target = _oriented(point, slope, rise)
    kinks = room / steepness.where(steepness > 0, torch.ones_like(steepness))
    level = _level(kinks, steepness.square(), target)
    # an infinite level times a zero slope would be no number
    moved = torch.where(kinks <= level, room, level.clamp(max=1e300) * steepness)
    return (direction * torch.minimum(moved, room)).to(point.dtype).view_as(point)


def project_linf(point: Tensor, slope: Tensor, rise: Tensor) -> Tensor:
    """Return the perturbation of least l∞ norm after which a linear function has risen enough.

    Args:
        point: where to start, shape (N, C, H, W), values in [0, 1].
        slope: gradient of the linear function, shape (N, C, H, W).
        rise: by how much it must rise, or fall if negative, shape (N,).

    Returns:
        Perturbations of shape (N, C, H, W) that keep the box [0, 1]. Where it leaves too little
        room, the perturbation goes as far as the box lets it.
    """
    direction, steepness, room, target = _oriented(point, slope, rise)
    level = _level(room, steepness, target)
    return (direction * torch.minimum(room, level)).to(point.dtype).view_as(point)


PROJECTIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "l1": project_l1,
    "l2": project_l2,
    "linf": project_linf,
}


def _oriented(point: Tensor, slope: Tensor, rise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Turn every pixel so that the function must rise and rises with the pixel.

    Returns:
        The signs of the turned pixels, steepness ≥ 0 and room to the box, each (N, D) in
        float64, and the rise ≥ 0, (N, 1), in units of the steepest pixel.
    """
    slope, point, rise = slope.flatten(1).double(), point.flatten(1).double(), rise.double()
    steepest = slope.abs().amax(dim=1, keepdim=True)
    scale = steepest.where(steepest > 0, torch.ones_like(steepest))
    direction = torch.where(rise[:, None] >= 0, slope, -slope).sign()
    room = torch.where(direction > 0, 1 - point, point).clamp(min=0) * (direction != 0)
    return direction, slope.abs() / scale, room, rise.abs()[:, None] / scale


def _level(kinks: Tensor, slopes: Tensor, target: Tensor) -> Tensor:
    """Return λ with Σ slopes·min(λ, kinks) = target, shape (N, 1), or inf if the sum stays below."""
    kinks, order = kinks.sort(dim=1)
    slopes = slopes.gather(1, order)
    full = slopes * kinks
    filled = full.cumsum(dim=1) - full
    free = slopes.flip(1).cumsum(dim=1).flip(1)
    first = (filled + kinks * free < target).sum(dim=1, keepdim=True)
    at = first.clamp(max=kinks.shape[1] - 1)
    rate = free.gather(1, at)
    level = (target - filled.gather(1, at)) / rate.where(rate > 0, torch.ones_like(rate))
    return torch.where(first < kinks.shape[1], level, torch.inf).clamp(min=0)
