"""The contractive penalty: the Frobenius norm of the net's Jacobian (Rifai et al., 2011; Gu and Rigazio, 2015)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from robustify.limits import require_at_least
from robustify.objectives.derivatives import jacobian_rows, require_output
from robustify.objectives.penalised import Penalised


class JacobianPenalty(Penalised):
    """Adds β times the mean of ‖∂o/∂x‖²_F, o the net's output.

    The exact norm takes a backward pass a class; a few random rows estimate it without bias, see
    :func:`robustify.objectives.derivatives.jacobian_rows`.

    Args:
        beta: weight of the penalty, >= 0.
        output: ``probabilities`` or ``logits``.
        projections: random rows an example; None for the exact norm.
        options: see :class:`robustify.objectives.base.SetObjective`.

    Raises:
        ValueError: if a number, the output or an option is out of range.
    """

    name = "jacobian"
    compiles = False

    def __init__(
        self,
        *,
        beta: float = 0.1,
        output: str = "probabilities",
        projections: int | None = 1,
        **options: Any,
    ) -> None:
        super().__init__(beta=beta, **options)
        self.output = require_output(output)
        if projections is not None:
            require_at_least(1, projections=projections)
        self.projections = projections

    def penalty(self, net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        rows, weight = jacobian_rows(
            net, x, self.output, projections=self.projections, generator=generator
        )
        return weight * rows.square().sum(dim=(1, 2)).mean()
