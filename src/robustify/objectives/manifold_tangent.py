"""The manifold tangent classifier's penalty (Eq. 4; Rifai et al., 2011)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.objectives.derivatives import jacobian_rows, require_output
from robustify.objectives.penalised import Penalised


class ManifoldTangent(Penalised):
    """Adds β times the mean of Σ_{u ∈ B_x} ‖⟨u, ∂o/∂x⟩‖², B_x a basis of the tangent plane at x (Eq. 4).

    The exact sum takes a backward pass a class; a few random rows of ∂o/∂x estimate it without bias, see
    :func:`robustify.objectives.derivatives.jacobian_rows`.

    Args:
        beta: weight of the penalty, >= 0.
        output: ``probabilities`` or ``logits``.
        projections: random rows an example; None for the exact sum.
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
        self.output = require_output(output)
        if projections is not None:
            require_at_least(1, projections=projections)
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
        rows, weight = jacobian_rows(
            net, x, self.output, projections=self.projections, generator=generator
        )
        slopes = rows @ self._basis.transpose(1, 2)
        return weight * slopes.square().sum(dim=(1, 2)).mean()
