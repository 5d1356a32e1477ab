"""Interval bound propagation: what a net can answer at most, anywhere in an l∞ ball (Gowal et al., 2018, arXiv:1810.12715).

Attacks bound a net's worst case from below; intervals bound it from above. An image whose bounds leave its label no rival is
certified: no attack, known or not, can flip it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.nets.convolution import ImageConvolution
from robustify.nets.soft_threshold import SoftThreshold
from robustify.nets.standardise import Standardise
from robustify.uncertainty import LinfBall

# layers that never answer less to more, entry by entry
_MONOTONE = (
    nn.AdaptiveAvgPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Identity,
    nn.MaxPool2d,
    nn.ReLU,
)


@dataclass(frozen=True)
class Interval:
    """All values between two tensors of one shape (N, ...), entry by entry."""

    lower: Tensor
    upper: Tensor

    @property
    def centre(self) -> Tensor:
        return (self.upper + self.lower) / 2

    @property
    def radius(self) -> Tensor:
        return (self.upper - self.lower) / 2


def interval_of(ball: LinfBall, x: Tensor) -> Interval:
    """Return all images that the ball allows in place of x, shape (N, C, H, W)."""
    lower, upper = x - ball.radius, x + ball.radius
    if ball.step == "unclipped":
        return Interval(lower, upper)
    return Interval(lower.clamp(min=0), upper.clamp(max=1))


def largest_margins(net: nn.Module, inputs: Interval, labels: Tensor) -> Tensor:
    """Return an upper bound of every class's logit less the label's, shape (N, classes); the label's own is 0.

    Where all others are negative, the net answers the label on the whole interval, up to rounding. A final linear layer is merged
    with the difference of logits, which makes the bound tighter.

    Args:
        net: layers in a row (``torch.nn.Sequential``) of the kinds that :func:`propagate` knows.
        inputs: images, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).

    Raises:
        InputError: naming a layer that has no bound here.
    """
    layers = list(_in_a_row(net))
    if layers and isinstance(layers[-1], nn.Linear):
        *layers, last = layers
        features = _through(layers, inputs)
        return _margins_of_linear(cast(nn.Linear, last), features, labels)
    logits = _through(layers, inputs)
    margins = logits.upper - logits.lower.gather(1, labels[:, None])
    return margins.scatter(1, labels[:, None], 0.0)


def require_bounds(net: nn.Module) -> None:
    """Refuse a net that intervals can't be trained through.

    Raises:
        InputError: naming the layer.
    """
    for layer in _in_a_row(net):
        if isinstance(layer, nn.BatchNorm2d):
            raise InputError(
                "batch normalisation has no bound in training, where it mixes the images of a batch; choose a net "
                "without, such as mnist_convnet"
            )
        _rule(layer)


def has_bounds(net: nn.Module) -> bool:
    """Return whether every layer of a net in eval mode has a rule here."""
    return all(_find_rule(layer) for layer in _in_a_row(net))


def propagate(layer: nn.Module, values: Interval) -> Interval:
    """Return bounds of a layer's answers to all values of an interval.

    Exact, entry by entry, for one layer alone: convolutions and linear layers move the centre by their weights and the radius by
    the weights' absolute values; monotone layers map the ends. Padding that repeats pixels of the image is the exception: they
    count as if they were others, which makes the bounds wider, not wrong.

    Raises:
        InputError: if the layer is of another kind.
    """
    return _rule(layer)(layer, values)


def _through(layers: list[nn.Module], values: Interval) -> Interval:
    for layer in layers:
        values = propagate(layer, values)
    return values


def _in_a_row(net: nn.Module) -> list[nn.Module]:
    if type(net).forward is not nn.Sequential.forward or _is_altered(net):
        return [net]
    return [layer for child in cast(nn.Sequential, net) for layer in _in_a_row(child)]


def _margins_of_linear(layer: nn.Linear, values: Interval, labels: Tensor) -> Tensor:
    differences = layer.weight[None] - layer.weight[:, None]
    own = differences[labels]
    centre, radius = values.centre.to(own.dtype), values.radius.to(own.dtype)
    margins = torch.einsum("nd,nkd->nk", centre, own)
    margins = margins + torch.einsum("nd,nkd->nk", radius, own.abs())
    if layer.bias is not None:
        margins = margins + layer.bias - layer.bias[labels][:, None]
    return margins


def _around(centre: Tensor, radius: Tensor) -> Interval:
    return Interval(centre - radius, centre + radius)


def _linear(layer: nn.Module, values: Interval) -> Interval:
    layer = cast(nn.Linear, layer)
    return _around(layer(values.centre), functional.linear(values.radius, layer.weight.abs()))


def _convolution(layer: nn.Module, values: Interval) -> Interval:
    layer = cast(nn.Conv2d, layer)
    # the layer's own way with padding, stride and groups
    radius = layer._conv_forward(values.radius, layer.weight.abs(), None)
    return _around(layer(values.centre), radius)


def _batch_norm(layer: nn.Module, values: Interval) -> Interval:
    layer = cast(nn.BatchNorm2d, layer)
    if layer.training:
        raise InputError("batch normalisation has a bound in eval mode only")
    # without them a layer has no rule
    scale = (cast(Tensor, layer.running_var) + layer.eps).rsqrt()
    if layer.weight is not None:
        scale = scale * layer.weight.abs()
    return _around(layer(values.centre), values.radius * scale.view(1, -1, 1, 1))


def _soft_threshold(layer: nn.Module, values: Interval) -> Interval:
    # a learned steepness may have become negative
    ends = layer(values.lower), layer(values.upper)
    return Interval(torch.minimum(*ends), torch.maximum(*ends))


def _monotone(layer: nn.Module, values: Interval) -> Interval:
    return Interval(layer(values.lower), layer(values.upper))


Rule = Callable[[nn.Module, Interval], Interval]

_RULES: tuple[tuple[tuple[type[nn.Module], ...], Rule], ...] = (
    ((nn.Linear,), _linear),
    ((nn.Conv2d, ImageConvolution), _convolution),
    ((nn.BatchNorm2d,), _batch_norm),
    ((SoftThreshold,), _soft_threshold),
    ((Standardise, *_MONOTONE), _monotone),
)


def _find_rule(layer: nn.Module) -> Rule | None:
    """Return the rule of a layer that computes just what its kind does: not one with a forward of its own, or with hooks."""
    # without running statistics batch normalisation mixes the images of a batch in eval mode, too
    mixes = isinstance(layer, nn.BatchNorm2d) and layer.running_var is None
    if mixes or _is_altered(layer):
        return None
    forward = type(layer).forward
    return next(
        (
            rule
            for kinds, rule in _RULES
            if isinstance(layer, kinds) and any(forward is kind.forward for kind in kinds)
        ),
        None,
    )


def _is_altered(layer: nn.Module) -> bool:
    """Return whether this layer was given hooks or a forward that others of its type don't have."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks or "forward" in vars(layer))


def _rule(layer: nn.Module) -> Rule:
    rule = _find_rule(layer)
    if rule is None:
        known = ", ".join(kind.__name__ for kinds, _ in _RULES for kind in kinds)
        altered = " with hooks or a forward of its own" if _is_altered(layer) else ""
        raise InputError(
            f"intervals have no rule for a layer of type {type(layer).__name__}{altered}; known, in a row: {known}"
        )
    return rule
