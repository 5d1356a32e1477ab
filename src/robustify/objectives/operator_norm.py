"""The operator-norm penalty: every layer's largest singular value (Szegedy et al., 2014)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.modes import evaluation_mode
from robustify.objectives.penalised import Penalised

LinearMap = Callable[[Tensor], Tensor]


class OperatorNormPenalty(Penalised):
    """Adds β times the sum of the operator norms of all convolutions and linear layers.

    A convolution counts as the linear map that it is on images of the size it sees, zero padding
    included, not as its reshaped filters. The norm is found by power iteration from a random start,
    so it is a lower bound that a few dozen iterations bring close.

    Batch normalisation takes every scale out of the layer before it, so that the layer's norm says
    nothing about the net: nets with it are refused.

    Args:
        beta: weight of the penalty, >= 0.
        power_iterations: products with a layer and its adjoint, at least 1.
        options: see :class:`robustify.objectives.base.SetObjective`.

    Raises:
        ValueError: if a number or an option is out of range.
    """

    name = "operator_norm"

    def __init__(self, *, beta: float = 0.01, power_iterations: int = 20, **options: Any) -> None:
        super().__init__(beta=beta, **options)
        require_at_least(1, power_iterations=power_iterations)
        self.power_iterations = power_iterations

    def check(self, net: nn.Module) -> None:
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules()):
            raise InputError(
                "objective 'operator_norm' says nothing of a net with batch normalisation; "
                "choose a net without, such as mnist_convnet"
            )
        layers = [module for module in net.modules() if isinstance(module, _LAYERS)]
        unknown = {type(each).__name__ for each in layers if not isinstance(each, _KNOWN_LAYERS)}
        if unknown or not layers:
            raise InputError(
                f"objective 'operator_norm' has norms of Conv2d and Linear layers only; the net has {', '.join(sorted(unknown)) or 'none'}"
            )
        for layer in layers:
            _require_zeros_by_numbers(layer)

    def penalty(self, net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        self.check(net)
        norms = operator_norms(
            net, x[:1], power_iterations=self.power_iterations, generator=generator
        )
        return torch.stack(list(norms.values())).sum()


_KNOWN_LAYERS = (nn.Conv2d, nn.Linear)
_LAYERS = (*_KNOWN_LAYERS, nn.modules.conv._ConvNd, nn.Bilinear)


def operator_norms(
    net: nn.Module, image: Tensor, *, power_iterations: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return the operator norm of every trainable convolution and linear layer, by the layer's name.

    Args:
        net: maps images to logits.
        image: any image of the size the net sees, shape (1, C, H, W).
        power_iterations: products with a layer and its adjoint.
        generator: draws the first vectors.

    Returns:
        Scalars that can be differentiated with respect to the layers' weights.
    """
    norms = {}
    for name, (layer, shape) in _input_shapes(net, image).items():
        forward, adjoint = _linear_map(layer, shape)
        with torch.no_grad():
            vector = torch.randn(
                shape, generator=generator, device=image.device, dtype=layer.weight.dtype
            )
            for _ in range(power_iterations):
                vector = _unit(adjoint(forward(_unit(vector))))
            response = _unit(forward(vector))
        norms[name] = (response * forward(vector)).sum()
    return norms


def _input_shapes(
    net: nn.Module, image: Tensor
) -> dict[str, tuple[nn.Conv2d | nn.Linear, tuple[int, ...]]]:
    seen: dict[str, tuple[nn.Conv2d | nn.Linear, tuple[int, ...]]] = {}
    handles = []
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad:

            def note(
                layer: nn.Conv2d | nn.Linear, inputs: tuple[Tensor, ...], name: str = name
            ) -> None:
                seen[name] = (layer, tuple(inputs[0].shape))

            handles.append(module.register_forward_pre_hook(note))
    try:
        with torch.no_grad(), evaluation_mode(net):
            net(image)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _linear_map(
    layer: nn.Conv2d | nn.Linear, shape: tuple[int, ...]
) -> tuple[LinearMap, LinearMap]:
    """Return the layer without its bias, and its adjoint."""
    weight = layer.weight
    if isinstance(layer, nn.Linear):
        return (lambda x: functional.linear(x, weight)), (lambda y: y @ weight)
    _require_zeros_by_numbers(layer)
    stride, dilation = layer.stride, layer.dilation
    padding = cast("tuple[int, int]", layer.padding)
    return (
        lambda x: functional.conv2d(x, weight, None, stride, padding, dilation, layer.groups),
        lambda y: conv2d_input(list(shape), weight, y, stride, padding, dilation, layer.groups),
    )


def _require_zeros_by_numbers(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d) and (
        layer.padding_mode != "zeros" or isinstance(layer.padding, str)
    ):
        raise InputError(
            f"objective 'operator_norm' has norms of convolutions with zero padding by numbers only; the net has {layer}"
        )


def _unit(vector: Tensor) -> Tensor:
    length = vector.norm()
    unit: Tensor = vector / length.where(length > 0, torch.ones_like(length))
    return unit
