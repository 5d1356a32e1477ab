"""What every attack is, and what attacks share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from robustify.errors import InputError, shown
from robustify.gradients import gradient_of, require_gradients
from robustify.uncertainty import NormBall, UncertaintySet, room_of


class Attack(ABC):
    """Looks for inputs of U(x) that the net gets wrong.

    Unlike a maximiser it may stop once it has one, and it needn't find the greatest loss.

    Attributes:
        name: the attack's name in configuration and tables.
        least_classes: how many logits its loss takes.
    """

    name: ClassVar[str]
    least_classes: ClassVar[int] = 2

    @abstractmethod
    def run(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """Return a candidate of ball ∩ box for every image, shape (N, C, H, W), detached.

        Where the attack failed, the candidate is some point of the set.

        Args:
            net: maps images to logits; the caller has put it in eval mode.
            x: clean images, in the net's own numbers (float32 as a rule), shape (N, C, H, W), values in [0, 1].
            labels: true classes, int64, shape (N,).
            uncertainty_set: a norm ball; the box is respected whatever its step.
            generator: source of whatever is random, on the device of ``x``.

        Raises:
            ValueError: if the set isn't a norm ball or the net has too few classes.
        """

    def parts(self, uncertainty_set: UncertaintySet) -> tuple[Attack, ...]:
        """Return the attacks that it runs one after the other on this set; mostly itself alone."""
        return (self,)

    def options(self) -> dict[str, str]:
        """Return its class and its options, as text: two attacks of equal options on one net do the same."""
        options = {name: repr(value) for name, value in vars(self).items()}
        return {"kind": type(self).__qualname__, **options}

    def require_classes(self, classes: int) -> None:
        """Refuse a net of too few classes for the loss.

        Raises:
            InputError: naming the attack and both numbers.
        """
        if classes < self.least_classes:
            raise InputError(
                f"{self.name} needs at least {self.least_classes} classes; the net has {classes}"
            )


class Ascent(NamedTuple):
    """What a forward and a backward pass say of each image.

    Attributes:
        logits: shape (N, K).
        losses: shape (N,).
        gradient: of each image's own loss with respect to it, shape (N, C, H, W).
    """

    logits: Tensor
    losses: Tensor
    gradient: Tensor


def ascend(net: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor]) -> Ascent:
    """Return logits, losses and input gradients; weight gradients aren't computed.

    Where the net's answer doesn't hang on its input, as PyTorch sees it, the gradient is zero. So it is where it is infinite and
    leads out of the pixel box: it would hide the slopes along which an attack can go.

    Args:
        net: maps images to logits.
        x: images in [0, 1], shape (N, C, H, W).
        loss: maps logits (N, K) to one loss an image, (N,).

    Raises:
        ValueError: in ``torch.inference_mode()``, where every gradient would be zero.
    """
    require_gradients()
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        logits = net(leaf).float()
        losses = loss(logits)
        gradient = gradient_of(losses.sum(), leaf)
    if bool(gradient.isinf().any()):
        out = gradient.isinf() & (room_of(gradient, x) == 0)
        gradient = gradient.masked_fill(out, 0)
    return Ascent(logits.detach(), losses.detach(), gradient)


@torch.no_grad()
def misclassified(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Return which images the net gets wrong, bool, shape (N,)."""
    wrong: Tensor = net(x).argmax(dim=1) != labels
    return wrong


@torch.no_grad()
def likeliest_targets(net: nn.Module, x: Tensor, labels: Tensor, count: int) -> Tensor:
    """Return each image's likeliest wrong classes in falling order, int64, shape (N, count).

    Fewer columns come back if the net has fewer wrong classes.
    """
    logits = net(x).float().scatter(1, labels[:, None], -torch.inf)
    count = min(count, logits.shape[1] - 1)
    ranked: Tensor = logits.argsort(dim=1, descending=True)[:, :count]
    return ranked


def ball_in_box(uncertainty_set: UncertaintySet, *, scale: float = 1.0) -> NormBall:
    """Return the same ball, its radius scaled, whose projection respects the box [0, 1].

    Raises:
        ValueError: if the set isn't a norm ball.
    """
    return _ball(uncertainty_set).__class__(radius=scale * uncertainty_set.radius)


def ball_alone(uncertainty_set: UncertaintySet) -> NormBall:
    """Return the same ball without the box, whose ascent step may leave [0, 1].

    Raises:
        ValueError: if the set isn't a norm ball.
    """
    return _ball(uncertainty_set).__class__(radius=uncertainty_set.radius, step="unclipped")


def _ball(uncertainty_set: UncertaintySet) -> NormBall:
    if not isinstance(uncertainty_set, NormBall):
        named = getattr(uncertainty_set, "name", uncertainty_set)
        raise InputError(f"uncertainty set {shown(named)} can't be attacked; use a ball")
    return uncertainty_set


def per_image(values: Tensor) -> Tensor:
    """Return values (N,) in a shape that broadcasts over images, (N, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
