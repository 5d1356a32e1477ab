"""A net without convolutions, as in Szegedy et al. (2014): another architecture for examples to transfer to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from robustify.errors import InputError
from robustify.nets.standardise import MNIST_MEAN, MNIST_STD, Standardise

PIXELS = 28 * 28


class FullyConnected(nn.Sequential):
    """Linear layers with rectifiers between them, on MNIST's pixels.

    Args:
        widths: of the hidden layers; Szegedy et al. use 100-100, 123-456 and 200-200.

    Raises:
        InputError: if there is no hidden layer, or one without units.
    """

    def __init__(self, *, widths: Sequence[int] = (200, 200)) -> None:
        if not widths or min(widths) < 1:
            raise InputError(f"widths is {list(widths)}; it must hold numbers of units, each >= 1")
        hidden = [
            layer
            for before, after in pairwise((PIXELS, *widths))
            for layer in (nn.Linear(before, after), nn.ReLU())
        ]
        super().__init__(
            Standardise(MNIST_MEAN, MNIST_STD), nn.Flatten(), *hidden, nn.Linear(widths[-1], 10)
        )
