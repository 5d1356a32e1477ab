"""The contractive penalty: the Frobenius norm of the net's Jacobian (Rifai et al., 2011; Gu and Rigazio, 2015)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.objectives.derivatives import jacobian, outputs, pulled_back, require_output
from robustify.objectives.penalised import Penalised


class JacobianPenalty(Penalised):
    """Adds β times the mean of ‖∂o/∂x‖²_F, o the net's output.

    The exact norm takes a backward pass a class. It is the mean of K·‖vᵀ ∂o/∂x‖² over unit vectors
    v of K dimensions, so a few random ones estimate it without bias (Hoffman et al., 2019).

    Args:
        beta: weight of the penalty, >= 0.
        output: ``probabilities`` or ``logits``.
        projections: random vectors v an example; None for the exact norm.
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
        if projections is not None and projections < 1:
            raise InputError(f"projections is {projections}; it must be at least 1, or null")
        self.output = require_output(output)
        self.projections = projections

    def penalty(self, net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.projections is None:
            return jacobian(net, x, self.output).square().sum(dim=(1, 2)).mean()
        leaf, values = outputs(net, x, self.output)
        classes, total = values.shape[1], x.new_zeros(())
        for _ in range(self.projections):
            covectors = torch.randn(
                values.shape, generator=generator, device=x.device, dtype=values.dtype
            )
            covectors = covectors / covectors.norm(dim=1, keepdim=True)
            rows = pulled_back(values, leaf, covectors)
            total = total + classes * rows.flatten(1).square().sum(dim=1).mean()
        return total / self.projections
