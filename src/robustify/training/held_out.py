"""A slice of the training images that isn't trained on: it serves whatever chooses, so that the test set chooses nothing."""

from __future__ import annotations

import torch
from torch import Tensor

from robustify.errors import InputError
from robustify.limits import require_at_least

# fixed: every net of an experiment, whatever its own seed, has the same slice
_SEED = 0


def split(labels: Tensor, held_out: int) -> tuple[Tensor, Tensor]:
    """Return the indices to train on, in their order, and those to hold out.

    Classes are held out in equal numbers, the first ones one more where ``held_out`` isn't a multiple of their
    number. The held-out indices go round the classes, so that their first part is balanced, too.

    Args:
        labels: true classes of the training images, int64, shape (N,).
        held_out: number of images to hold out; 0 holds out none.

    Returns:
        Two int64 tensors, shapes (N − held_out,) and (held_out,).

    Raises:
        InputError: if ``held_out`` is no whole number >= 0, or a class would be left without a training image.
    """
    require_at_least(0, held_out=held_out)
    generator = torch.Generator().manual_seed(_SEED)
    classes = [(labels == label).nonzero()[:, 0].cpu() for label in labels.unique().tolist()]
    chosen = []
    for position, members in enumerate(classes):
        count = held_out // len(classes) + (position < held_out % len(classes))
        if count >= len(members):
            raise InputError(
                f"held_out is {held_out}, {count} of each class; a class has only {len(members)} training images: "
                "lower training.held_out"
            )
        drawn = members[torch.randperm(len(members), generator=generator)[:count]]
        chosen += [(turn, position, index) for turn, index in enumerate(drawn.tolist())]
    held = torch.tensor([index for _, _, index in sorted(chosen)], dtype=torch.int64)
    trained_on = torch.ones(len(labels), dtype=torch.bool)
    trained_on[held] = False
    return trained_on.nonzero()[:, 0], held
