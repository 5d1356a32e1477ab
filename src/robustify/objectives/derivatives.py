"""Derivatives of a net's outputs with respect to its images, themselves differentiable in the weights."""

from __future__ import annotations

from collections.abc import Iterator
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


def jacobian_rows(
    net: nn.Module,
    x: Tensor,
    output: Output,
    *,
    projections: int | None,
    generator: torch.Generator,
) -> tuple[Tensor, float]:
    """Return rows vᵀ ∂o/∂x of every example's Jacobian, and the weight with which their squares add up to all of its squares.

    All rows take a backward pass a class. A few, along random unit vectors v of the K outputs, have the same squares on average times K
    (Hoffman et al., 2019). Where batch normalisation couples the examples of a batch, an example's row is of all their outputs;
    the sign with which each of them counts is drawn, else they would cancel: normalised features sum to a constant.

    Args:
        net: maps images to logits.
        x: images, shape (N, C, H, W).
        output: what is differentiated.
        projections: random rows an example; None for all.
        generator: draws vectors or signs.

    Returns:
        Rows, shape (N, R, C·H·W), differentiable in the weights; and the weight.
    """
    leaf = x.detach().requires_grad_(True)
    logits = net(leaf)
    values = logits.softmax(dim=1) if output == "probabilities" else logits
    covectors = (
        _classes(values, generator)
        if projections is None
        else (_unit_vectors(values, generator) for _ in range(projections))
    )
    rows = [pulled_back(values, leaf, covector).flatten(1) for covector in covectors]
    weight = 1.0 if projections is None else values.shape[1] / projections
    return torch.stack(rows, dim=1), weight


def _classes(values: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    for covector in torch.eye(values.shape[1], dtype=values.dtype, device=values.device):
        drawn = torch.randint(2, (len(values), 1), generator=generator, device=values.device)
        yield covector * drawn.mul(2).sub(1).to(values.dtype)


def _unit_vectors(values: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randn(values.shape, generator=generator, device=values.device, dtype=values.dtype)
    unit: Tensor = drawn / drawn.norm(dim=1, keepdim=True)
    return unit


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

    Not for the weights' gradient: PyTorch's forward mode takes the statistics of batch and layer normalisation for constants there.

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
