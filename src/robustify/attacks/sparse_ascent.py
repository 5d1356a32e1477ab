"""l1 steps on several values of an image at once, fewer from step to step, down to the steepest ascent on one.

In l1 the steepest ascent spends a step on the one value of largest gradient. Many short steps then touch few values, and fifty of
them can leave more images right than twenty longer ones. Steps on the values of largest gradient, all by the same amount, find more
(Tramèr and Boneh, 2019), and so does beginning with many and ending with few (Croce and Hein, 2021).
"""

from __future__ import annotations

from torch import Tensor

# of an image's values, that the first step moves
FIRST_SHARE = 0.05


def values_moved(step: int, *, steps: int, dimensions: int) -> int:
    """Return how many values a step moves: a twentieth of all at first, fewer by the same factor each time, one at last.

    Args:
        step: counted from 0.
        steps: of the whole attack; a single one moves one value.
        dimensions: values of an image.
    """
    left = 1 - step / (steps - 1) if steps > 1 else 0.0
    many: float = (FIRST_SHARE * dimensions) ** left
    return max(1, round(many))


def spread_step(gradient: Tensor, x: Tensor, *, length: float, values: int) -> Tensor:
    """Return the step that moves the values of largest gradient along it, all equally far, shape (N, ...).

    Values that are at the border of the pixel box and would leave it aren't moved.

    Args:
        gradient: of the loss, shape (N, ...).
        x: where the step begins, values in [0, 1], shaped like ``gradient``.
        length: l1 norm of the step, in pixel units of the [0, 1] scale; less where too few values can move.
        values: number of values moved, at most those of an image.
    """
    flat = gradient.flatten(1).nan_to_num()
    room = ((1 - x.flatten(1)) * (flat > 0) + x.flatten(1) * (flat < 0)) > 0
    magnitude = flat.abs() * room
    chosen = magnitude.topk(values, dim=1).indices
    sign = (flat.sign() * room).gather(1, chosen)
    return flat.new_zeros(flat.shape).scatter_(1, chosen, length / values * sign).view_as(x)
