"""What every net is put before, and how thoroughly."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from robustify.configuration.base import LARGEST, Named, Strict, WithoutDropped
from robustify.configuration.names import ALL_ATTACKS, AUTOATTACK, NetName
from robustify.configuration.values import Epsilon, Norm, Radii


class Ball(Strict):
    """A norm ball around every image.

    Attributes:
        norm: ``l1``, ``l2`` or ``linf``.
        epsilon: its radius, in pixel units of the [0, 1] scale.
    """

    norm: Norm
    epsilon: Epsilon


class GateOptions(Strict):
    """How thoroughly the sanity gates look."""

    images: int = Field(default=200, ge=1, lt=LARGEST)
    steps: int = Field(default=10, ge=2, lt=LARGEST)


def _attack_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in {AUTOATTACK, ALL_ATTACKS}:
        raise ValueError(
            f"attack {name!r} must be of lower-case letters, digits and _, and neither autoattack "
            "(that has a key of its own) nor all_attacks"
        )
    return name


_PUBLISHED_ATTACKS: dict[str, dict[str, Any]] = {
    "one_step": {
        "name": "pgd",
        "steps": 1,
        "restarts": 1,
        "relative_step": 1.0,
        "random_start": False,
    },
    "pgd_20": {"name": "pgd", "steps": 20, "restarts": 5, "relative_step": 0.125},
    "pgd_50": {"name": "pgd", "steps": 50, "restarts": 5, "relative_step": 0.05},
    "apgd_ce": {"name": "apgd_ce"},
}


class Depth(Strict):
    """One depth of verification: every net under every attack in every ball.

    Attributes:
        images: the first so many test images, or all if there are fewer.
        batch_size: images attacked at a time; as many are lost at most when a run is killed.
        norms: epsilons by norm, in pixel units of the [0, 1] scale.
        own_ball: the ball that a net was trained on is added for that net.
        attacks: by their name in tables; see :func:`robustify.attacks.make_attack`.
        autoattack: net to the ball in which it is put before the full standard AutoAttack.
        gates: how thoroughly the sanity gates look.
    """

    images: int = Field(default=1000, ge=1, lt=LARGEST)
    batch_size: int = Field(default=100, ge=1, lt=LARGEST)
    norms: Annotated[dict[Norm, Radii], WithoutDropped] = Field(min_length=1)
    own_ball: bool = True
    attacks: Annotated[
        dict[Annotated[str, AfterValidator(_attack_name)], Named], WithoutDropped
    ] = Field(
        default_factory=lambda: {
            name: Named(**options) for name, options in _PUBLISHED_ATTACKS.items()
        },
        min_length=1,
    )
    autoattack: Annotated[dict[NetName, Ball], WithoutDropped] = Field(default_factory=dict)
    gates: GateOptions = GateOptions()


class Verification(Strict):
    """What every net is put before; see :mod:`robustify.verification`.

    Attributes:
        brief: what is part of the experiment's own pipeline; nothing if left out.
        full: what the pipelines NAME_verification and verification do; none if left out.
        on_failure: whether a failed sanity gate stops the run or flags the net in every table.
        largest_share_of_zero_gradients: share of the images on which the loss gradient may be zero.
    """

    brief: Depth | None = None
    full: Depth | None = None
    on_failure: Literal["raise", "flag"] = "flag"
    largest_share_of_zero_gradients: float = Field(default=0.05, ge=0, le=1)
