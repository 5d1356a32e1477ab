"""Gradients with respect to the input of a net, and none on its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError

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
