"""Objectives: what the descent step of Algorithm 1 minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.maximisers import Maximiser, evaluation_mode, frozen_running_statistics
from robustify.uncertainty import Point, UncertaintySet

InnerMode = Literal["train", "eval"]


class Objective(ABC):
    """A differentiable function of the weights, one value a mini-batch."""

    @abstractmethod
    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        """Return the scalar to descend on.

        Args:
            net: maps images to logits, in train mode.
            x: clean images, shape (N, C, H, W), values in [0, 1].
            labels: true classes, shape (N,), int64.
            generator: source of whatever is random.
        """


class WorstCase(Objective):
    """Loss on the worst input that the maximiser finds in U(x): the inner sum of Eq. 9.

    Args:
        uncertainty_set: U; on a ``Point`` this is the ordinary training loss.
        maximiser: how the worst input is looked for.
        label_smoothing: share of the target spread evenly over all classes, in [0, 1).
        inner_mode: mode of the net while the maximiser works. In ``train`` mode, the authors'
            choice, running statistics of batch normalisation are left alone.

    Raises:
        ValueError: if ``label_smoothing`` or ``inner_mode`` is out of range.
    """

    def __init__(
        self,
        *,
        uncertainty_set: UncertaintySet,
        maximiser: Maximiser,
        label_smoothing: float = 0.0,
        inner_mode: InnerMode = "train",
    ) -> None:
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing is {label_smoothing}; it must be in [0, 1)")
        if inner_mode not in ("train", "eval"):
            raise InputError(f"inner_mode is {inner_mode!r}; known: train, eval")
        self.uncertainty_set = uncertainty_set
        self.maximiser = maximiser
        self.label_smoothing = label_smoothing
        self.inner_mode = inner_mode

    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        with self._inner_mode(net):
            worst = self.maximiser.maximise(
                net, x, labels, self.uncertainty_set, generator=generator
            )
        return functional.cross_entropy(
            net(worst).float(), labels, label_smoothing=self.label_smoothing
        )

    def _inner_mode(self, net: nn.Module) -> AbstractContextManager[None]:
        if isinstance(self.uncertainty_set, Point):
            return nullcontext()
        return evaluation_mode(net) if self.inner_mode == "eval" else frozen_running_statistics(net)
