"""The manifold tangent classifier's penalty (Eq. 4; Rifai et al., 2011)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.objectives.derivatives import change_of, jacobian, product, require_output
from robustify.objectives.penalised import Penalised


class ManifoldTangent(Penalised):
    """Adds β times the mean of Σ_{u ∈ B_x} ‖⟨u, ∂o/∂x⟩‖², B_x a basis of the tangent plane at x (Eq. 4).

    The exact sum takes a backward pass a class. It is the mean of ‖∂o/∂x Σ_j z_j u_j‖² over random
    signs z, so a few of them estimate it without bias by a forward-mode pass each.

    Args:
        beta: weight of the penalty, >= 0.
        output: ``probabilities`` or ``logits``.
        projections: random directions of the plane an example; None for the exact sum.
        bases: maps indices of training examples, int64 (N,), to orthonormal bases of their planes,
            shape (N, d, D), see :class:`robustify.tangents.TangentPlanes`.
        options: see :class:`robustify.objectives.base.SetObjective`.

    Raises:
        ValueError: if a number, the output or an option is out of range.
    """

    name = "manifold_tangent"
    compiles = False

    def __init__(
        self,
        *,
        beta: float = 0.1,
        output: str = "probabilities",
        projections: int | None = 1,
        bases: Callable[[Tensor], Tensor] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(beta=beta, **options)
        if projections is not None and projections < 1:
            raise InputError(f"projections is {projections}; it must be at least 1, or null")
        self.output = require_output(output)
        self.projections = projections
        self._bases = bases
        self._basis: Tensor | None = None

    def for_examples(self, indices: Tensor) -> Self:
        twin = copy.copy(super().for_examples(indices))
        twin._basis = None if self._bases is None else self._bases(indices)
        return twin

    def penalty(self, net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        if self._basis is None:
            raise InputError("objective 'manifold_tangent' needs the examples' tangent planes")
        if self.projections is None:
            slopes = jacobian(net, x, self.output) @ self._basis.transpose(1, 2)
            return slopes.square().sum(dim=(1, 2)).mean()
        total = x.new_zeros(())
        for _ in range(self.projections):
            _, logits, change = product(net, x, self._random_direction(x, generator))
            change = change_of(self.output, logits, change)
            total = total + change.square().sum(dim=1).mean()
        return total / self.projections

    def _random_direction(self, x: Tensor, generator: torch.Generator) -> Tensor:
        assert self._basis is not None  # noqa: S101
        shape = (len(x), 1, self._basis.shape[1])
        signs = torch.randint(2, shape, generator=generator, device=x.device).mul(2).sub(1)
        return (signs.to(x.dtype) @ self._basis).view_as(x)
