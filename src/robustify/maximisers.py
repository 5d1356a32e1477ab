"""Maximisers of Eq. 10: how the worst input of an uncertainty set is looked for.

A maximiser knows nothing of norms; it asks the uncertainty set. It leaves no gradient
on the net's weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.limits import require_at_least, require_flags, require_relative_step
from robustify.uncertainty import Point, UncertaintySet

Loss = Callable[[Tensor, Tensor], Tensor]


def summed_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy summed over the batch, so that an example's gradient doesn't depend on the batch size."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def input_gradient(
    net: nn.Module, x: Tensor, labels: Tensor, loss: Loss = summed_cross_entropy
) -> Tensor:
    """Return the loss gradient with respect to the images, shape (N, ...).

    Weight gradients are neither computed nor accumulated. Where the loss doesn't hang on an image, as PyTorch sees it, its
    gradient is zero.

    Raises:
        ValueError: in ``torch.inference_mode()``.
    """
    require_gradients()
    with torch.enable_grad(), weights_left_out(net):
        leaf = x.detach().requires_grad_(True)
        return gradient_of(loss(net(leaf), labels), leaf)


def gradient_of(value: Tensor, leaf: Tensor) -> Tensor:
    """Return the gradient of a scalar with respect to a leaf; zero if the one doesn't hang on the other."""
    if not value.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(value, [leaf], allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient


def require_gradients() -> None:
    """Refuse to look for gradients where there are none.

    Raises:
        ValueError: in ``torch.inference_mode()``, which unlike ``torch.no_grad()`` can't be lifted for a while.
    """
    if torch.is_inference_mode_enabled():
        raise InputError(
            "gradients are asked for inside torch.inference_mode(), where all are zero; use torch.no_grad() instead"
        )


@contextmanager
def weights_left_out(net: nn.Module) -> Iterator[None]:
    """Let no weight ask for a gradient: a compiled backward pass would compute them all, wanted or not."""
    trained = [weight for weight in net.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Run the net in eval mode and give every submodule its own mode back afterwards."""
    training = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def frozen_running_statistics(net: nn.Module) -> Iterator[None]:
    """Keep train mode, but let the running statistics of batch and instance normalisation alone."""
    tracking = [
        module
        for module in net.modules()
        if isinstance(module, nn.modules.batchnorm._NormBase)
        and module.track_running_stats
        and module.training
    ]
    # instance normalisation updates what statistics there are, whatever it tracks
    kept = {
        module: (module.running_mean, module.running_var)
        for module in tracking
        if isinstance(module, nn.modules.instancenorm._InstanceNorm)
    }
    for module in tracking:
        module.track_running_stats = False
    for module in kept:
        module.running_mean = module.running_var = None
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
        for module, (mean, variance) in kept.items():
            module.running_mean, module.running_var = mean, variance


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


class SteepestAscent(Maximiser):
    """One steepest-ascent step from x, the first-order surrogate of Eq. 11."""

    name = "steepest_ascent"

    def maximise(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        x = x.detach() if x.requires_grad else x
        if isinstance(uncertainty_set, Point):
            return x
        gradient = input_gradient(net, x, labels)
        return x + uncertainty_set.steepest_ascent(gradient, x)


class ProjectedGradient(Maximiser):
    """Projected gradient ascent: several shorter steepest-ascent steps, each projected back onto U(x).

    Args:
        steps: number of steps, at least 1.
        relative_step: length of a step as a share of the set's radius.
        random_start: begin at a random point of the set instead of at x.
        restarts: number of starts, at least 1; those after the first are random, and the end of
            greatest loss counts, each example for itself.

    Raises:
        ValueError: if ``steps`` or ``restarts`` < 1, or ``relative_step`` isn't in (0, 2].
    """

    name = "projected_gradient"

    def __init__(
        self,
        *,
        steps: int = 10,
        relative_step: float = 0.25,
        random_start: bool = False,
        restarts: int = 1,
    ) -> None:
        require_at_least(1, steps=steps, restarts=restarts)
        require_flags(random_start=random_start)
        require_relative_step(relative_step)
        self.steps = steps
        self.relative_step = relative_step
        self.random_start = random_start
        self.restarts = restarts

    def maximise(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        x = x.detach() if x.requires_grad else x
        if isinstance(uncertainty_set, Point):
            return x
        start = uncertainty_set.sample(x, generator) if self.random_start else x
        worst = self._climb(net, x, labels, uncertainty_set, start)
        if self.restarts == 1:
            return worst
        greatest = _losses(net, worst, labels)
        for _ in range(self.restarts - 1):
            start = uncertainty_set.sample(x, generator)
            end = self._climb(net, x, labels, uncertainty_set, start)
            losses = _losses(net, end, labels)
            better = losses > greatest
            worst = torch.where(better.view(-1, *[1] * (x.ndim - 1)), end, worst)
            greatest = torch.where(better, losses, greatest)
        return worst

    def _climb(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        start: Tensor,
    ) -> Tensor:
        end, length = start, self.relative_step * uncertainty_set.radius
        for _ in range(self.steps):
            gradient = input_gradient(net, end, labels)
            step = uncertainty_set.steepest_ascent(gradient, end, length)
            end = uncertainty_set.project(end + step, x)
        return end


@torch.no_grad()
def _losses(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(net(x).float(), labels, reduction="none")


MAXIMISERS: dict[str, type[Maximiser]] = {
    kind.name: kind for kind in (SteepestAscent, ProjectedGradient)
}


def make_maximiser(name: str = SteepestAscent.name, **options: float | bool) -> Maximiser:
    """Return the maximiser of that name.

    Raises:
        ValueError: for an unknown name, an option the maximiser doesn't have, or a value out of range.
    """
    if name not in MAXIMISERS:
        raise InputError(f"maximiser {name!r} is unknown; known: {', '.join(MAXIMISERS)}")
    try:
        return MAXIMISERS[name](**options)
    except TypeError as error:
        raise InputError(f"maximiser {name!r} with options {options}: {error}") from error
