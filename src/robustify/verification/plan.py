"""How deep a verification goes: which balls, which attacks, how many images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from robustify.attacks import Attack, AutoAttack, make_attack
from robustify.attacks.base import ball_in_box
from robustify.configuration import Depth, Verification
from robustify.errors import InputError, shown
from robustify.limits import require_at_least, require_share
from robustify.uncertainty import SETS, NormBall, make_uncertainty_set
from robustify.verification.gates import OnFailure
from robustify.verification.survival import BATCH_SIZE


@dataclass(frozen=True)
class Plan:
    """What a net is put before.

    Attributes:
        balls: norm balls, each under every attack.
        attacks: by their name in tables; each sees every image that the net has right.
        autoattack: norm balls, of ``balls`` or others, for the full standard AutoAttack.
        images: the first so many are attacked, or all if there are fewer.
        batch_size: images attacked at a time.
        examined: where the sanity gates attack; the first ball if left out.
        examined_images: number of images that they look at.
        examined_steps: of PGD in them.
        largest_share_of_zero_gradients: see :func:`robustify.verification.gates.gradients_are_there`.
        on_failure: whether a failed gate raises (``raise``) or flags the net (``flag``).

    Raises:
        InputError: if there is nothing to attack or to attack with, a name is unknown or a number out of range.
    """

    balls: tuple[NormBall, ...]
    attacks: Mapping[str, Attack]
    autoattack: tuple[NormBall, ...] = ()
    images: int = 1000
    batch_size: int = BATCH_SIZE
    examined: tuple[NormBall, ...] = ()
    examined_images: int = 200
    examined_steps: int = 10
    largest_share_of_zero_gradients: float = 0.05
    on_failure: OnFailure = "flag"

    def __post_init__(self) -> None:
        if not self.balls and not self.autoattack:
            raise InputError("there is nothing to verify: give at least one norm and epsilon")
        if not self.attacks and not self.autoattack:
            raise InputError(
                "attacks is empty; give at least one, or a ball for AutoAttack (autoattack)"
            )
        if AutoAttack.name in self.attacks:
            raise InputError(
                f"attacks holds {AutoAttack.name!r}; give its balls as autoattack instead"
            )
        for name, attack in self.attacks.items():
            if not isinstance(attack, Attack):
                raise InputError(
                    f"attacks[{name!r}] is {shown(attack)}; it must be an attack, as make_attack makes them"
                )
        for name in ("balls", "autoattack", "examined"):
            for ball in getattr(self, name):
                if not isinstance(ball, NormBall):
                    raise InputError(f"{name} hold {shown(ball)}; they must be norm balls")
        require_at_least(1, images=self.images, batch_size=self.batch_size)
        require_at_least(1, examined_images=self.examined_images)
        require_at_least(2, examined_steps=self.examined_steps)
        require_share(largest_share_of_zero_gradients=self.largest_share_of_zero_gradients)
        if self.on_failure not in get_args(OnFailure):
            raise InputError(
                f"on_failure is {shown(self.on_failure)}; known: {', '.join(get_args(OnFailure))}"
            )

    def every_ball(self) -> list[NormBall]:
        """Return all balls, each once."""
        return _once([*self.balls, *self.autoattack])

    def attacks_in(self, ball: NormBall) -> dict[str, Attack]:
        """Return the attacks that this ball is put to, by their name in tables."""
        chosen = dict(self.attacks) if _in(ball, self.balls) else {}
        if _in(ball, self.autoattack):
            chosen[AutoAttack.name] = AutoAttack()
        return chosen


def make_plan(
    verification: Verification, depth: Depth, *, net: str, uncertainty_set: Mapping[str, Any]
) -> Plan:
    """Return the plan for one net.

    Args:
        verification: an experiment's parameters.
        depth: one of its depths.
        net: the net's name.
        uncertainty_set: ``name`` and ``radius`` of the set that the net was trained on.

    Raises:
        InputError: for an unknown norm, attack or option, or a value out of range.
    """
    listed = [ball_of(norm, epsilon) for norm, all_ in depth.norms.items() for epsilon in all_]
    own = own_ball(uncertainty_set)
    named = depth.autoattack.get(net)
    strongest = [ball_of(named.norm, named.epsilon)] if named else []
    return Plan(
        balls=tuple(_once([*([own] if own and depth.own_ball else []), *listed])),
        attacks={
            name: make_attack(**options.model_dump()) for name, options in depth.attacks.items()
        },
        autoattack=tuple(strongest),
        images=depth.images,
        batch_size=depth.batch_size,
        examined=_examined(own, [*listed, *strongest]),
        examined_images=depth.gates.images,
        examined_steps=depth.gates.steps,
        largest_share_of_zero_gradients=verification.largest_share_of_zero_gradients,
        on_failure=verification.on_failure,
    )


def ball_of(norm: str, radius: float) -> NormBall:
    """Return the norm ball of that name.

    Raises:
        InputError: for an unknown name, a radius out of range, or a set that is no ball.
    """
    return ball_in_box(make_uncertainty_set(norm, radius=radius))


def own_ball(uncertainty_set: Mapping[str, Any]) -> NormBall | None:
    """Return the ball that a net was trained on, or None if it wasn't trained on one."""
    kind = SETS.get(uncertainty_set["name"])
    if kind is None or not issubclass(kind, NormBall):
        return None
    return ball_of(uncertainty_set["name"], uncertainty_set["radius"])


def _examined(own: NormBall | None, listed: list[NormBall]) -> tuple[NormBall, ...]:
    """Return a ball of every norm that is measured: the net's own, and of others the largest, where most could be hidden."""
    largest = {} if own is None else {own.name: own}
    for ball in sorted(listed, key=lambda ball: ball.radius):
        if own is None or ball.name != own.name:
            largest[ball.name] = ball
    return tuple(largest.values())


def _once(balls: list[NormBall]) -> list[NormBall]:
    return list({(ball.name, ball.radius): ball for ball in balls}.values())


def _in(ball: NormBall, balls: tuple[NormBall, ...]) -> bool:
    return any((ball.name, ball.radius) == (other.name, other.radius) for other in balls)
