"""Strong attacks, independent of training, and the robust accuracy they leave.

The four attacks of AutoAttack's ``standard`` version (Croce and Hein, 2020 and 2021), written
afresh on this project's uncertainty sets, and multi-step PGD with restarts.
"""

from __future__ import annotations

from robustify.attacks.apgd import ApgdCrossEntropy, ApgdDlr, ApgdTargeted
from robustify.attacks.auto import AutoAttack, standard_attacks
from robustify.attacks.base import Attack
from robustify.attacks.evaluation import AttackState, Progress, RobustAccuracy, robust_accuracy
from robustify.attacks.fab import FabTargeted
from robustify.attacks.pgd import Pgd
from robustify.attacks.square import Square
from robustify.named import make_named

__all__ = [
    "ATTACKS",
    "ApgdCrossEntropy",
    "ApgdDlr",
    "ApgdTargeted",
    "Attack",
    "AttackState",
    "AutoAttack",
    "FabTargeted",
    "Pgd",
    "Progress",
    "RobustAccuracy",
    "Square",
    "make_attack",
    "robust_accuracy",
    "standard_attacks",
]

ATTACKS: dict[str, type[Attack]] = {
    kind.name: kind
    for kind in (Pgd, ApgdCrossEntropy, ApgdDlr, ApgdTargeted, FabTargeted, Square, AutoAttack)
}


def make_attack(name: str = AutoAttack.name, **options: float | bool) -> Attack:
    """Return the attack of that name.

    Raises:
        ValueError: for an unknown name, an option the attack doesn't have, or a value out of range.
    """
    return make_named("attack", ATTACKS, name, options)
