"""Normalisation as a net's first layer, so that every attack works on [0, 1] images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robustify.errors import InputError

MNIST_MEAN, MNIST_STD = (0.1307,), (0.3081,)
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Standardise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each channel.

    Args:
        mean: one value a channel, on the [0, 1] scale.
        std: one value a channel, on the [0, 1] scale.

    Raises:
        InputError: for images with another number of channels.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.mean.shape[1]:
            # broadcasting would make a colour image of a grey one
            raise InputError(f"images have {x.shape[1]} channels, expected {self.mean.shape[1]}")
        return (x - self.mean) / self.std
