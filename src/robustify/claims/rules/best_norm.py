"""C7: the l∞ net among the robust ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from robustify.across_seeds import BEST
from robustify.claims.rules.base import (
    SIGNIFICANCE,
    Claim,
    Finding,
    better_in_every_seed,
    robust_nets,
)
from robustify.claims.rules.sweeps import (
    in_every_seed,
    leads_over,
    times_ahead,
    times_ahead_in_every_seed,
    under_steps,
)
from robustify.claims.rules.wording import p_values, points


def linf_is_best(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C7: the l∞ net against the other robust nets, on the stored set and under l∞ steps."""
    tests = details["best_on_adversarial_set"]
    others = [net for net in robust_nets(details) if net != BEST]
    if not others or not tests:
        return []
    nets, stored = details["nets"], summary["nets"]
    differences = "; ".join(
        f"{points(stored[BEST]['adversarial_set_accuracy']['mean'] - stored[net]['adversarial_set_accuracy']['mean'])} "
        f"on {net} (p by seed: {p_values(tests[net])}; {_by_image_in_words(tests[net])})"
        for net in others
    )
    sweep = under_steps(nets[BEST])
    sweeps = [under_steps(nets[net]) for net in others]
    ahead = times_ahead(leads_over(sweep, sweeps))
    settled = times_ahead_in_every_seed(sweep, sweeps)
    return [
        Finding("stored set", _better_than_all(tests[net] for net in others), differences),
        Finding(
            "new attacks",
            ahead == len(sweep) and settled > len(sweep) / 2,
            f"ahead of the other robust nets at {ahead} of {len(sweep)} ε{in_every_seed(settled, sweep)}",
        ),
    ]


def _better_than_all(tests: Iterable[Sequence[Mapping[str, Any]]]) -> bool | None:
    """Return whether it is better than each of the others in every seed; None if it is ahead, but no more than by chance."""
    listed = list(tests)
    if all(better_in_every_seed([*by_seed, *_by_image(by_seed)]) for by_seed in listed):
        return True
    ahead = all(mean(test["difference"] for test in by_seed) > 0 for by_seed in listed)
    return None if ahead else False


def _by_image(tests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    # stored by earlier versions, tests lack it
    stored = [test["by_image"] for test in tests if "by_image" in test]
    return [{**test, "difference": test["only_first"] - test["only_second"]} for test in stored]


def _by_image_in_words(tests: Sequence[Mapping[str, Any]]) -> str:
    by_image = _by_image(tests)
    return f"by image: {p_values(by_image)}" if by_image else "by image not stored"


CLAIM = Claim(
    "C7",
    "The l∞ net is the best robust net, on the stored set and under new attacks.",
    f"The stored set counts if in every seed the l∞ net has more right than every other robust net, McNemar's p < {SIGNIFICANCE}, by example and, "
    "where it is stored, by image; it is undecided where the l∞ net is ahead on average, but no more than by chance; "
    "new attacks count if its mean accuracy under one l∞ step is the highest of the robust nets at every ε, and at more than half of them in every single seed. "
    "Radii of different norms aren't matched, so a lead may be that of the larger ball.",
    linf_is_best,
)
