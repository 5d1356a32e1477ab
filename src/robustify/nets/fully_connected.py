"""A net without convolutions, as in Szegedy et al. (2014): another architecture for examples to transfer to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from torch import nn

from robustify.errors import InputError
from robustify.nets.standardise import (
    CIFAR10_MEAN,
    CIFAR10_STD,
    MNIST_MEAN,
    MNIST_STD,
    Standardise,
)

ImagesName = Literal["mnist", "cifar10"]
_PIXELS = {"mnist": 28 * 28, "cifar10": 3 * 32 * 32}
_STATISTICS = {"mnist": (MNIST_MEAN, MNIST_STD), "cifar10": (CIFAR10_MEAN, CIFAR10_STD)}


class FullyConnected(nn.Sequential):
    """Linear layers with rectifiers between them, on all pixels of an image at once.

    Args:
        widths: of the hidden layers; Szegedy et al. use 100-100, 123-456 and 200-200.
        images: what it sees, ``mnist`` or ``cifar10``.

    Raises:
        InputError: if there is no hidden layer, or one without units, or the images are unknown.
    """

    def __init__(self, *, widths: Sequence[int] = (200, 200), images: ImagesName = "mnist") -> None:
        if images not in get_args(ImagesName):
            raise InputError(f"images is {images!r}; known: {', '.join(get_args(ImagesName))}")
        if not widths or min(widths) < 1:
            raise InputError(f"widths is {list(widths)}; it must hold numbers of units, each >= 1")
        hidden = [
            layer
            for before, after in pairwise((_PIXELS[images], *widths))
            for layer in (nn.Linear(before, after), nn.ReLU())
        ]
        super().__init__(
            Standardise(*_STATISTICS[images]), nn.Flatten(), *hidden, nn.Linear(widths[-1], 10)
        )
