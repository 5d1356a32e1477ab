"""The set that holds x alone."""

from __future__ import annotations

import torch
from torch import Tensor

from robustify.uncertainty.base import UncertaintySet


class Point(UncertaintySet):
    """The set that holds x alone: Algorithm 1 on it is standard training."""

    name = "point"

    def steepest_ascent(self, gradient: Tensor, x: Tensor, length: float | None = None) -> Tensor:
        return torch.zeros_like(x)

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        return x.clone()

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return x.clone()
