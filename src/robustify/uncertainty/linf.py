"""The l∞ ball."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from robustify.uncertainty.norm_ball import NormBall
from robustify.uncertainty.sampling import uniform


class LinfBall(NormBall):
    """l∞ ball: every pixel may move by up to the radius; its ascent step is FGSM (Eq. 2)."""

    name = "linf"
    order = math.inf

    def _rows(self, images: Tensor) -> Tensor:
        # every pixel goes its own way, so images keep their shape and layout: rows would take longer to copy than a step
        return images

    def _ascend(self, gradient: Tensor, length: float) -> Tensor:
        return length * gradient.sign()

    def _ascend_in_box(self, gradient: Tensor, x: Tensor, length: float) -> Tensor:
        return (x + length * gradient.sign()).clamp(0, 1) - x

    def _shrink(self, offset: Tensor, room: Tensor) -> Tensor:
        return torch.minimum(offset.clamp(max=self.radius), room)

    def _sample_ball(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return (uniform(x, generator) * 2 - 1) * self.radius
