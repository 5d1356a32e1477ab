"""The paper's MNIST convnet (§5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from robustify.errors import InputError
from robustify.nets.convolution import ImageConvolution
from robustify.nets.soft_threshold import SoftThreshold
from robustify.nets.standardise import MNIST_MEAN, MNIST_STD, Standardise


class MnistConvnet(nn.Sequential):
    """conv 32×5×5, maxpool 3×3, conv 64×5×5, maxpool 2×2, FC 200, FC 10, on images padded to 32×32.

    Padding is the first convolution's, of standardised images: beyond their border lies the mean pixel, 0.13, where the authors,
    whose loader isn't published, may have had black.

    Args:
        widths: channels of both convolutions and units of the hidden layer; the paper's by default.
        input_batch_norm: normalise the input with a batch normalisation of its own before the
            first convolution, as the authors' robust nets do.
        soft_threshold: steepness of a learned soft threshold of the pixels, before all else; none
            by default.

    Raises:
        InputError: if there aren't three widths, each at least 1, or ``soft_threshold`` isn't
            positive.
    """

    def __init__(
        self,
        *,
        widths: Sequence[int] = (32, 64, 200),
        input_batch_norm: bool = False,
        soft_threshold: float | None = None,
    ) -> None:
        if len(widths) != 3 or min(widths) < 1:
            raise InputError(
                f"widths is {list(widths)}; it must hold two numbers of channels and one of units, each >= 1"
            )
        first_channels, second_channels, units = widths
        first: list[nn.Module] = [Standardise(MNIST_MEAN, MNIST_STD)]
        if soft_threshold is not None:
            first.insert(0, SoftThreshold(steepness=soft_threshold))
        if input_batch_norm:
            first.append(nn.BatchNorm2d(1))
        super().__init__(
            *first,
            ImageConvolution(1, first_channels, 5),
            nn.MaxPool2d(3, padding=1),
            nn.ReLU(),
            nn.Conv2d(first_channels, second_channels, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(second_channels * 3 * 3, units),
            nn.ReLU(),
            nn.Linear(units, 10),
        )
