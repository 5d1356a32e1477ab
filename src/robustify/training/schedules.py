"""How the learning rate changes over a training, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.named import make_named

# of the learning rate, at each step
Factor = Callable[[int], float]


def make_schedule(*, name: str, steps: int, steps_per_epoch: int, **options: Any) -> Factor:
    """Return the learning rate's factor at each step.

    ``triangle`` rises linearly over the share ``warmup`` of the training and falls linearly to
    zero, ``halving`` halves every ``epochs_per_halving`` epochs, ``constant`` stays at one.

    Args:
        name: of the schedule.
        steps: of the whole training.
        steps_per_epoch: of one epoch, the last batch counted.
        options: of that schedule: ``warmup``, in [0, 1), 0 if left out; ``epochs_per_halving``, at least 1, 25 if left out.

    Raises:
        InputError: for an unknown name or option, or a value out of range.
    """
    return make_named(
        "schedule", SCHEDULES, name, options, steps=steps, steps_per_epoch=steps_per_epoch
    )


def _triangle(*, steps: int, steps_per_epoch: int, warmup: float = 0.0) -> Factor:
    if not 0 <= warmup < 1:
        raise InputError(f"warmup is {warmup}; it must be in [0, 1)")
    peak = warmup * steps
    return lambda step: min((step + 1) / (peak + 1), (steps - step) / max(steps - peak, 1))


def _constant(*, steps: int, steps_per_epoch: int) -> Factor:
    return lambda step: 1.0


def _halving(*, steps: int, steps_per_epoch: int, epochs_per_halving: int = 25) -> Factor:
    require_at_least(1, epochs_per_halving=epochs_per_halving)
    return lambda step: 0.5 ** (step // (steps_per_epoch * epochs_per_halving))


SCHEDULES: dict[str, Callable[..., Factor]] = {
    "triangle": _triangle,
    "constant": _constant,
    "halving": _halving,
}
