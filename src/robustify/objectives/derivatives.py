"""Derivatives of a net's outputs with respect to its images, themselves differentiable in the weights."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from robustify.errors import InputError

Output = Literal["probabilities", "logits"]


def require_output(output: str) -> Output:
    """Return the name of what is differentiated.

    Raises:
        ValueError: if it isn't ``probabilities`` or ``logits``.
    """
    if output not in ("probabilities", "logits"):
        raise InputError(f"output is {output!r}; known: probabilities, logits")
    return cast(Output, output)


def outputs(net: nn.Module, x: Tensor, output: Output) -> tuple[Tensor, Tensor]:
    """Return the images as a leaf, and the net's probabilities or logits at it, shape (N, K)."""
    leaf = x.detach().requires_grad_(True)
    return leaf, _of(net(leaf), output)


def jacobian(net: nn.Module, x: Tensor, output: Output) -> Tensor:
    """Return every example's Jacobian ∂o/∂x, shape (N, K, D), by one backward pass a class."""
    leaf, values = outputs(net, x, output)
    classes = torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
    rows = [
        pulled_back(values, leaf, covector.expand_as(values)).flatten(1) for covector in classes
    ]
    return torch.stack(rows, dim=1)


def pulled_back(
    values: Tensor, leaf: Tensor, covectors: Tensor, *, create_graph: bool = True
) -> Tensor:
    """Return vᵀ ∂values/∂leaf, v the covectors, shaped like the leaf; zero if values don't hang on it."""
    if not values.requires_grad:
        return torch.zeros_like(leaf)
    (slopes,) = torch.autograd.grad(
        values, [leaf], covectors, create_graph=create_graph, allow_unused=True
    )
    return torch.zeros_like(leaf) if slopes is None else slopes


def product(net: nn.Module, x: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits and how they change along a direction, by forward-mode differentiation.

    Args:
        net: maps images to logits.
        x: images, shape (N, C, H, W).
        directions: u, shaped like x.

    Returns:
        The images as a leaf that logits can be differentiated by, shape (N, C, H, W); logits and
        ∂logits/∂x·u, both of shape (N, K).
    """
    leaf = x.detach().requires_grad_(True)
    with forward_ad.dual_level():
        logits, change = forward_ad.unpack_dual(net(forward_ad.make_dual(leaf, directions)))
    # a net that looks at nothing has none
    return leaf, logits, torch.zeros_like(logits) if change is None else change


def change_of(output: Output, logits: Tensor, change: Tensor) -> Tensor:
    """Return how probabilities or logits change where logits change, shape (N, K)."""
    if output == "logits":
        return change
    # written out: PyTorch's own forward mode of a softmax can't be differentiated once more
    probabilities = logits.softmax(dim=1)
    return probabilities * (change - (probabilities * change).sum(dim=1, keepdim=True))


def _of(logits: Tensor, output: Output) -> Tensor:
    return logits.softmax(dim=1) if output == "probabilities" else logits
