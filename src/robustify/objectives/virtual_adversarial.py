"""Virtual adversarial training (Miyato et al., 2016)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.maximisers import SteepestAscent
from robustify.objectives.base import SetObjective, in_full_precision, require_multiplier
from robustify.objectives.derivatives import product, pulled_back
from robustify.uncertainty import Point, scaled_to_one


class VirtualAdversarial(SetObjective):
    """J(θ, x, y) + β KL(p(·|x) ‖ p(·|x + Δ)), with Δ where the divergence grows fastest; Δ needs no label.

    At Δ = 0 the divergence is zero and flat: it grows like ½ Δᵀ H Δ, with H = Jᵀ (diag p − p pᵀ) J
    for the Jacobian J of the logits. From a random direction d, each power iteration sets d to
    H d, the limit of the divergence's gradient at a small step along d. Miyato et al. take that
    gradient at a finite step; here it is the exact product, by forward- and reverse-mode
    differentiation. Δ is then the set's steepest ascent along d: r·d/‖d‖₂ on an l2 ball.

    The divergence pulls x + Δ to x: p(·|x) counts as a constant.

    Args:
        beta: weight of the divergence, >= 0.
        power_iterations: products with H, at least 1; each costs a forward and a backward pass.
        options: see :class:`robustify.objectives.base.SetObjective`. The maximiser isn't asked.

    Raises:
        ValueError: if a number or an option is out of range, or a maximiser was chosen.
    """

    name = "vat"

    def __init__(self, *, beta: float = 1.0, power_iterations: int = 1, **options: Any) -> None:
        super().__init__(**options)
        require_at_least(1, power_iterations=power_iterations)
        if not isinstance(self.maximiser, SteepestAscent):
            raise InputError(
                f"objective 'vat' finds its own direction; maximiser {self.maximiser.name!r} has no "
                "place in it, leave it out"
            )
        self.beta = require_multiplier(beta)
        self.power_iterations = power_iterations

    def __call__(
        self, net: nn.Module, x: Tensor, labels: Tensor, *, generator: torch.Generator
    ) -> Tensor:
        if isinstance(self.uncertainty_set, Point) or self.beta == 0:
            return self.loss(net, x, labels)
        moved = x + self.uncertainty_set.steepest_ascent(self.direction(net, x, generator), x)
        logits = net(x).float()
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        divergence = functional.kl_div(
            net(moved).float().log_softmax(dim=1),
            logits.detach().log_softmax(dim=1),
            log_target=True,
            reduction="batchmean",
        )
        return loss + self.beta * divergence

    def direction(self, net: nn.Module, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the direction in which the divergence grows fastest, shape (N, C, H, W), of any length."""
        direction = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        with self.in_inner_mode(net), in_full_precision(x):
            for _ in range(self.power_iterations):
                direction = _curvature_product(net, x, _normalised(direction))
        return direction


def _curvature_product(net: nn.Module, x: Tensor, direction: Tensor) -> Tensor:
    """Return H·d of every example, H the Hessian of KL(p(x) ‖ p(x + Δ)) at Δ = 0; shaped like x."""
    leaf, logits, change = product(net, x, direction)
    probabilities = logits.softmax(dim=1)
    change_of_probabilities = probabilities * (
        change - (probabilities * change).sum(dim=1, keepdim=True)
    )
    return pulled_back(logits, leaf, change_of_probabilities.detach(), create_graph=False)


def _normalised(direction: Tensor) -> Tensor:
    flat = scaled_to_one(direction.flatten(1))
    length = flat.norm(dim=1, keepdim=True)
    unit: Tensor = flat / length.where(length > 0, torch.ones_like(length))
    return unit.view_as(direction)
