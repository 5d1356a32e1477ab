"""The paper's MNIST convnet (§5.1)."""

from __future__ import annotations

from torch import nn

from robustify.nets.convolution import ImageConvolution
from robustify.nets.standardise import MNIST_MEAN, MNIST_STD, Standardise


class MnistConvnet(nn.Sequential):
    """conv 32×5×5, maxpool 3×3, conv 64×5×5, maxpool 2×2, FC 200, FC 10, on images padded to 32×32.

    Args:
        input_batch_norm: normalise the input with a batch normalisation of its own before the
            first convolution, as the authors' robust nets do.
    """

    def __init__(self, *, input_batch_norm: bool = False) -> None:
        first: list[nn.Module] = [Standardise(MNIST_MEAN, MNIST_STD)]
        if input_batch_norm:
            first.append(nn.BatchNorm2d(1))
        super().__init__(
            *first,
            ImageConvolution(1, 32, 5),
            nn.MaxPool2d(3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 3 * 3, 200),
            nn.ReLU(),
            nn.Linear(200, 10),
        )
