"""C3: new adversarial examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustify.claims.rules.base import Claim, Finding, robust_nets
from robustify.claims.rules.sweeps import (
    in_every_seed,
    leads_over,
    times_ahead,
    times_ahead_in_every_seed,
    under_steps,
)
from robustify.claims.rules.wording import percent
from robustify.configuration import BASELINE, CONTROL
from robustify.levels import size_label


def harder_to_attack(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C3: each robust net under l∞ steps on its own weights, against baseline and control."""
    nets = details["nets"]
    plain = [nets[net] for net in (BASELINE, CONTROL) if net in nets]
    found = []
    for net in robust_nets(details):
        sweep, others = under_steps(nets[net]), [under_steps(other) for other in plain]
        leads = leads_over(sweep, others)
        settled = times_ahead_in_every_seed(sweep, others)
        widest = max(leads, key=lambda epsilon: leads[epsilon])
        found.append(
            Finding(
                net,
                times_ahead(leads) == len(leads) and settled > len(leads) / 2,
                f"ahead of both at {times_ahead(leads)} of {len(leads)} ε{in_every_seed(settled, sweep)}, by most at {size_label(float(widest))}: "
                f"{percent(sweep[widest]['mean'])} against {percent(sweep[widest]['mean'] - leads[widest])}"
                f"{_under_other_steps(nets[net], plain)}{_under_more_steps(nets[net], plain)}",
            )
        )
    return found


def _under_other_steps(net: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]) -> str:
    """Return at how many radii of the norms that the rule doesn't ask for a net is ahead."""
    found = {
        norm: leads_over(sweep, [other["steps"][norm] for other in plain])
        for norm, sweep in net["steps"].items()
    }
    return "".join(
        f"; under {norm} steps at {times_ahead(leads)} of {len(leads)} radii"
        for norm, leads in found.items()
    )


def _under_more_steps(net: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]) -> str:
    """Return what the brief verification's attacks leave a net and the better standard net, in the balls of both."""
    left: dict[tuple[str, float], float] = {}
    for other in plain:
        for row in other["attacked"]:
            ball = row["norm"], row["epsilon"]
            left[ball] = max(left.get(ball, 0.0), row["accuracy"]["mean"])
    return "".join(
        f"; under more steps ({row['norm']} {size_label(row['epsilon'])}, {row['images']:,} images) "
        f"{percent(row['accuracy']['mean'])} against {percent(left[row['norm'], row['epsilon']])}"
        for row in net["attacked"]
        if (row["norm"], row["epsilon"]) in left
    )


CLAIM = Claim(
    "C3",
    "New adversarial examples are harder to make, for every norm trained on, even with l∞ attacks.",
    "A net counts if its mean accuracy under one l∞ step on its own weights is above both the baseline's and "
    "the control's at every ε of the sweep, and at more than half of them in every single seed. Steps stay in the pixel box, which Eq. 2 by itself doesn't ask "
    "for; without it, more of a step would be left.",
    harder_to_attack,
)
