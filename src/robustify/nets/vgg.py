"""The paper's CIFAR-10 net (§5.2): a VGG with batch normalisation and dropout, after Zagoruyko (2015)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.nets.standardise import Standardise

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# ITU-R BT.601: RGB on [0, 1] to YUV
RGB_TO_YUV = (
    (0.299, 0.587, 0.114),
    (-0.14713, -0.28886, 0.436),
    (0.615, -0.51499, -0.10001),
)
# of CIFAR-10's training images
YUV_MEAN, YUV_STD = (0.4809, -0.0169, 0.0092), (0.2392, 0.0536, 0.0669)


class VGG(nn.Module):
    """Thirteen 3×3 convolutions in five blocks, each closed by a 2×2 max-pool, and two linear layers."""

    yuv: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("yuv", torch.tensor(RGB_TO_YUV))
        self.standardise = Standardise(YUV_MEAN, YUV_STD)
        self.features = nn.Sequential(*_convolutions())
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(512, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        yuv = functional.conv2d(x, self.yuv[:, :, None, None])
        return cast(Tensor, self.classifier(self.features(self.standardise(yuv)).flatten(1)))

    def prepare(self, images: Tensor) -> None:
        """Initialise the convolutions after He et al. (2015); the images aren't used."""
        for module in self.features:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                nn.init.zeros_(cast(Tensor, module.bias))


def _convolutions() -> list[nn.Module]:
    layers: list[nn.Module] = []
    before = 3
    for number, block in enumerate(BLOCKS):
        for position, after in enumerate(block):
            layers += [
                nn.Conv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after, eps=1e-3),
                nn.ReLU(),
            ]
            if position < len(block) - 1:
                layers.append(nn.Dropout(0.3 if number == 0 else 0.4))
            before = after
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return layers
