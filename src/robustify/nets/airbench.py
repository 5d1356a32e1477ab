"""A CIFAR-10 net that trains fast on CPU and GPU, after airbench94 (Jordan, 2024, arXiv:2404.00498)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.nets.standardise import CIFAR10_MEAN, CIFAR10_STD, Standardise

WHITENING_IMAGES = 5000
WHITENING_CHUNK = 500
# logits start at about 1/width of the features' scale; splitting that factor between head and scale
# lets one learning rate serve the head and the biases
HEAD_GAIN = 3.55


class AirbenchNet(nn.Module):
    """Whitening 2×2 convolution, three groups of two 3×3 convolutions, global max-pool, linear head.

    Args:
        widths: channels of the three groups.
    """

    def __init__(self, *, widths: Sequence[int] = (64, 256, 256)) -> None:
        super().__init__()
        if len(widths) != 3 or min(widths) < 1:
            raise InputError(
                f"widths is {list(widths)}; it must hold three numbers of channels, each >= 1"
            )
        self.standardise = Standardise(CIFAR10_MEAN, CIFAR10_STD)
        self.whitening = nn.Conv2d(3, 24, 2)
        self.whitening.weight.requires_grad_(False)
        channels = (24, *widths)
        self.groups = nn.Sequential(
            *(_group(before, after) for before, after in zip(channels, widths, strict=False))
        )
        self.head = nn.Linear(widths[-1], 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.gelu(self.whitening(self.standardise(x)))
        x = self.groups(x).amax(dim=(2, 3))
        return cast(Tensor, self.head(x)) * (HEAD_GAIN / self.head.in_features)

    def prepare(self, images: Tensor) -> None:
        """Whiten the patches of the first images, start the groups at the identity, scale the head.

        Args:
            images: training images, uint8, shape (N, 3, H, W).
        """
        with torch.no_grad():
            self.whitening.weight.copy_(self._whitening_filters(images[:WHITENING_IMAGES]))
            nn.init.zeros_(cast(Tensor, self.whitening.bias))
            for module in self.groups.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.dirac_(module.weight[: module.in_channels])
            nn.init.normal_(self.head.weight, std=1 / HEAD_GAIN)

    def _whitening_filters(self, images: Tensor) -> Tensor:
        products, patches = torch.zeros(12, 12, device=images.device), 0
        # all patches at once are 0.2 GiB that training would never use again
        for chunk in images.split(WHITENING_CHUNK):
            pixels = self.standardise(chunk.float() / 255)
            windows = pixels.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5)
            flat = windows.reshape(-1, 12)
            products += flat.T @ flat
            patches += len(flat)
        eigenvalues, eigenvectors = torch.linalg.eigh(products / patches)
        filters = (
            eigenvectors.T.reshape(-1, 3, 2, 2) / (eigenvalues.view(-1, 1, 1, 1) + 5e-4).sqrt()
        )
        # an eigenvector's sign is the linear-algebra library's choice; fix it
        leading = filters.flatten(1).gather(1, filters.flatten(1).abs().argmax(1, keepdim=True))
        filters = filters * leading.sign().view(-1, 1, 1, 1)
        return torch.cat([filters, -filters])


def _group(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        _batch_norm(after),
        nn.GELU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        _batch_norm(after),
        nn.GELU(),
    )


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-5, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm
