"""What a maximiser does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from robustify.uncertainty import UncertaintySet


class Maximiser(ABC):
    """Looks for the input of U(x) on which the net's loss is greatest."""

    name: ClassVar[str]

    @abstractmethod
    def maximise(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Return images of U(x), shape (N, ...), detached from any graph.

        Args:
            net: maps images to logits; its mode is the caller's choice.
            x: clean images, shape (N, ...), values in [0, 1].
            labels: true classes, shape (N,), int64.
            uncertainty_set: where the maximiser may look.
            generator: source of whatever is random.
        """
