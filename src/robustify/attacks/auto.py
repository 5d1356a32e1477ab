"""AutoAttack: four attacks in a row that need no tuning (Croce and Hein, 2020; for l1 2021)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from robustify.attacks.apgd import ApgdCrossEntropy, ApgdTargeted
from robustify.attacks.base import Attack, ball_in_box, misclassified
from robustify.attacks.fab import FabTargeted
from robustify.attacks.square import Square
from robustify.configuration import AUTOATTACK
from robustify.errors import InputError, shown
from robustify.uncertainty import L1Ball, UncertaintySet


def standard_attacks(uncertainty_set: UncertaintySet) -> tuple[Attack, ...]:
    """Return the attacks of the authors' ``standard`` version for that norm, in their order.

    For l1 that version differs: APGD begins in wider balls, on the cross entropy from five
    starts, on the targeted loss towards five classes.

    Raises:
        ValueError: if the set isn't a norm ball.
    """
    if isinstance(ball_in_box(uncertainty_set), L1Ball):
        return (
            ApgdCrossEntropy(restarts=5, wider_balls_first=True),
            ApgdTargeted(target_classes=5, wider_balls_first=True),
            FabTargeted(),
            Square(),
        )
    return (ApgdCrossEntropy(), ApgdTargeted(), FabTargeted(), Square())


class AutoAttack(Attack):
    """Runs one attack after the other, each on the images that stood up to those before it.

    Args:
        attacks: which attacks; the ``standard`` version's for the norm if left out.

    Raises:
        ValueError: if no attack or the same one twice is given, or what is no attack.
    """

    name = AUTOATTACK

    def __init__(self, attacks: Iterable[Attack] | None = None) -> None:
        self._attacks = None if attacks is None else tuple(attacks)
        for attack in self._attacks or ():
            if not isinstance(attack, Attack):
                raise InputError(
                    f"attacks hold {shown(attack)}; they must be attacks themselves, as make_attack makes them"
                )
            if isinstance(attack, AutoAttack):
                raise InputError("attacks hold an AutoAttack; name the attacks that it is made of")
        names = ["standard"] if self._attacks is None else [attack.name for attack in self._attacks]
        if not names or len(set(names)) < len(names):
            raise InputError(f"attacks are {names}; give at least one, and each only once")

    def parts(self, uncertainty_set: UncertaintySet) -> tuple[Attack, ...]:
        return standard_attacks(uncertainty_set) if self._attacks is None else self._attacks

    def run(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        found = x.detach().clone()
        standing = (~misclassified(net, x, labels)).nonzero()[:, 0]
        for attack in self.parts(uncertainty_set):
            if len(standing) == 0:
                break
            chosen = (x[standing], labels[standing], uncertainty_set)
            found[standing] = attack.run(net, *chosen, generator=generator)
            standing = standing[~misclassified(net, found[standing], labels[standing])]
        return found
