"""What every objective is, and what those that look for a worst input share."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.maximisers import Maximiser
from robustify.modes import evaluation_mode, frozen_running_statistics
from robustify.uncertainty import Point, UncertaintySet

InnerMode = Literal["train", "eval"]


class Objective(ABC):
    """A differentiable function of the weights, one value a mini-batch.

    Attributes:
        name: the objective's name in configuration and tables.
        compiles: whether it can be computed of what ``torch.compile`` makes of a net.
    """

    name: ClassVar[str]
    compiles: ClassVar[bool] = True

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

    def for_examples(self, indices: Tensor) -> Objective:
        """Return the objective of these training examples, int64, shape (N,); mostly the same for all."""
        return self

    def at_radius(self, share: float) -> Objective:
        """Return the objective over a set of ``share`` of the radius; mostly the same for all."""
        return self

    def require_compilable(self) -> None:
        """Refuse to be computed of a compiled net.

        Raises:
            InputError: if that isn't possible.
        """
        if not self.compiles:
            raise InputError(
                f"training.compile: the objective {self.name!r} looks into the net's layers or differentiates twice, which a compiled net "
                "doesn't allow; set training.compile to null"
            )

    def check(self, net: nn.Module) -> None:  # noqa: B027
        """Refuse a net on which the objective says nothing.

        Raises:
            ValueError: naming what the net would need.
        """


class SetObjective(Objective):
    """An objective over an uncertainty set.

    Args:
        uncertainty_set: U; on a ``Point`` nothing is looked for.
        maximiser: how the worst input is looked for.
        label_smoothing: share of the target spread evenly over all classes, in [0, 1); of the descent's loss alone, for the
            worst case of a smoothed loss may be an input that the net is surer of.
        inner_mode: mode of the net while anything but the descent's own loss is computed. In
            ``train`` mode, the authors' choice, running statistics of batch normalisation are
            left alone.

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

    def for_examples(self, indices: Tensor) -> Self:
        own = self.uncertainty_set.for_examples(indices)
        if own is self.uncertainty_set:
            return self
        twin = copy.copy(self)
        twin.uncertainty_set = own
        return twin

    def at_radius(self, share: float) -> Self:
        if isinstance(self.uncertainty_set, Point):
            return self
        twin = copy.copy(self)
        twin.uncertainty_set = copy.copy(self.uncertainty_set)
        twin.uncertainty_set.radius = share * self.uncertainty_set.radius
        return twin

    def loss(self, net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
        """Return J(θ, x, y), the mean cross entropy against smoothed labels."""
        return functional.cross_entropy(
            net(x).float(), labels, label_smoothing=self.label_smoothing
        )

    def worst_input(
        self, net: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return what the maximiser finds in U(x), shape (N, C, H, W), detached."""
        on_point = isinstance(self.uncertainty_set, Point)
        with nullcontext() if on_point else self.in_inner_mode(net):
            return self.maximiser.maximise(
                net, x, labels, self.uncertainty_set, generator=generator
            )

    def in_inner_mode(self, net: nn.Module) -> AbstractContextManager[None]:
        """Return the context in which the net leaves no trace in its running statistics."""
        return evaluation_mode(net) if self.inner_mode == "eval" else frozen_running_statistics(net)


def require_multiplier(beta: float) -> float:
    """Return β, the weight of a penalty.

    Raises:
        ValueError: if it isn't a finite number of at least 0.
    """
    if not 0 <= beta < float("inf"):
        raise InputError(f"beta is {beta}; it must be a finite number >= 0")
    return float(beta)


def in_full_precision(x: Tensor) -> AbstractContextManager[None]:
    """Return the context in which derivatives that are squared or iterated on aren't rounded to 8 bits."""
    return torch.autocast(x.device.type, enabled=False)
