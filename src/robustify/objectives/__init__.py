"""Objectives, by name: what the descent step of Algorithm 1 minimises.

An objective is one class and one line in ``OBJECTIVES``.
"""

from __future__ import annotations

from typing import Any

from robustify.maximisers import Maximiser
from robustify.named import make_named
from robustify.objectives.base import InnerMode, Objective, SetObjective
from robustify.objectives.interval_bound import IntervalBound
from robustify.objectives.jacobian import JacobianPenalty
from robustify.objectives.manifold_tangent import ManifoldTangent
from robustify.objectives.mixed import Mixed
from robustify.objectives.operator_norm import OperatorNormPenalty
from robustify.objectives.virtual_adversarial import VirtualAdversarial
from robustify.objectives.worst_case import WorstCase
from robustify.uncertainty import UncertaintySet

__all__ = [
    "OBJECTIVES",
    "InnerMode",
    "IntervalBound",
    "JacobianPenalty",
    "ManifoldTangent",
    "Mixed",
    "Objective",
    "OperatorNormPenalty",
    "SetObjective",
    "VirtualAdversarial",
    "WorstCase",
    "make_objective",
]

OBJECTIVES: dict[str, type[SetObjective]] = {
    kind.name: kind
    for kind in (
        WorstCase,
        Mixed,
        VirtualAdversarial,
        ManifoldTangent,
        JacobianPenalty,
        OperatorNormPenalty,
        IntervalBound,
    )
}


def make_objective(
    name: str = WorstCase.name,
    *,
    uncertainty_set: UncertaintySet,
    maximiser: Maximiser,
    **options: Any,
) -> Objective:
    """Return the objective of that name.

    Raises:
        ValueError: for an unknown name, an option the objective doesn't have, or a value out of range.
    """
    return make_named(
        "objective",
        OBJECTIVES,
        name,
        options,
        uncertainty_set=uncertainty_set,
        maximiser=maximiser,
    )
