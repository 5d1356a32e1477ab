"""How the learning rate changes over a training, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from robustify.errors import InputError
from robustify.limits import require_at_least

ScheduleName = Literal["triangle", "constant", "halving"]


def make_schedule(
    *,
    name: str,
    steps: int,
    steps_per_epoch: int,
    warmup: float = 0.0,
    epochs_per_halving: int = 25,
) -> Callable[[int], float]:
    """Return the learning rate's factor at each step.

    ``triangle`` rises linearly over the share ``warmup`` of the training and falls linearly to
    zero, ``halving`` halves every ``epochs_per_halving`` epochs, ``constant`` stays at one.

    Args:
        name: of the schedule.
        steps: of the whole training.
        steps_per_epoch: of one epoch, the last batch counted.
        warmup: share of the training, in [0, 1).
        epochs_per_halving: at least 1.

    Raises:
        InputError: for an unknown name or a value out of range.
    """
    if not 0 <= warmup < 1:
        raise InputError(f"warmup is {warmup}; it must be in [0, 1)")
    require_at_least(1, epochs_per_halving=epochs_per_halving)
    if name == "constant":
        return lambda step: 1.0
    if name == "halving":
        return lambda step: 0.5 ** (step // (steps_per_epoch * epochs_per_halving))
    if name == "triangle":
        peak = warmup * steps
        return lambda step: min((step + 1) / (peak + 1), (steps - step) / max(steps - peak, 1))
    raise InputError(f"schedule {name!r} is unknown; known: {', '.join(SCHEDULES)}")


SCHEDULES = dict.fromkeys(get_args(ScheduleName), make_schedule)
