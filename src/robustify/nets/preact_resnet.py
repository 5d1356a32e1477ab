"""Residual nets with identity shortcuts for CIFAR-10, after He et al. (2016, arXiv:1603.05027)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.nets.standardise import CIFAR10_MEAN, CIFAR10_STD, Standardise


class PreactResNet(nn.Module):
    """A 3×3 convolution, stages of residual blocks, global average-pool, linear head.

    The default is PreActResNet18, in which much of the field's robust training on CIFAR-10 is reported (Wong et al., 2020;
    Rice et al., 2020).

    Args:
        widths: channels of the stages; each stage but the first halves the resolution.
        blocks: residual blocks a stage.

    Raises:
        InputError: if there is no stage, or one without channels, or fewer than one block.
    """

    def __init__(self, *, widths: Sequence[int] = (64, 128, 256, 512), blocks: int = 2) -> None:
        super().__init__()
        if not widths or min(widths) < 1:
            raise InputError(
                f"widths is {list(widths)}; it must hold numbers of channels, each >= 1"
            )
        if blocks < 1:
            raise InputError(f"blocks is {blocks}; it must be >= 1")
        self.standardise = Standardise(CIFAR10_MEAN, CIFAR10_STD)
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        channels = (widths[0], *widths)
        self.stages = nn.Sequential(
            *(
                _stage(before, after, blocks, 1 if number == 0 else 2)
                for number, (before, after) in enumerate(pairwise(channels))
            )
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(self.standardise(x)))
        return cast(Tensor, self.head(functional.relu(self.norm(x)).mean(dim=(2, 3))))

    def prepare(self, images: Tensor) -> None:
        """Initialise the convolutions after He et al. (2015); the images aren't used."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


class _Block(nn.Module):
    """Two convolutions, each of what normalisation and rectifier leave; what came in is added at the end."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first_norm = nn.BatchNorm2d(before)
        self.first = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut = (
            None
            if stride == 1 and before == after
            else nn.Conv2d(before, after, 1, stride=stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.first_norm(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        active = functional.relu(self.second_norm(self.first(active)))
        return cast(Tensor, self.second(active) + shortcut)


def _stage(before: int, after: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _Block(before, after, stride), *(_Block(after, after, 1) for _ in range(blocks - 1))
    )
