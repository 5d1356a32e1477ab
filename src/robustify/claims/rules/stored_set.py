"""C2: the stored adversarial set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustify.claims.rules.base import (
    SIGNIFICANCE,
    Claim,
    Finding,
    better_in_every_seed,
    robust_nets,
)
from robustify.claims.rules.wording import p_values, percent
from robustify.configuration import BASELINE, CONTROL


def recovers_the_set(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C2: each robust net against the control on the set of its own seed."""
    found = []
    for net in robust_nets(details):
        tested = summary["tests"]["adversarial_set"].get(net)
        if tested is None:
            continue
        ours = summary["nets"][net]["adversarial_set_accuracy"]["mean"]
        control = summary["nets"][CONTROL]["adversarial_set_accuracy"]["mean"]
        by_image = tested["by_image"]
        better = better_in_every_seed(tested["by_seed"]) and all(
            test["only_first"] > test["only_second"] and test["p_value"] < SIGNIFICANCE
            for test in by_image
        )
        unlike = ours < control and _starts_elsewhere(details["nets"], net)
        images = ", ".join(f"{test['images']:,}" for test in by_image)
        found.append(
            Finding(
                net,
                None if unlike else better,
                f"{percent(ours)}, the control {percent(control)} (p by seed: {p_values(tested['by_seed'])}; "
                f"with the {images} images counted once: {p_values(by_image)})"
                + (
                    "; it began with the baseline's seed and the control didn't, and examples fool nets of the same start more often, so that "
                    "less than the control needn't come of its training"
                    if unlike
                    else ""
                ),
            )
        )
    return found


def _starts_elsewhere(nets: Mapping[str, Any], net: str) -> bool:
    """Return whether a net is known to have had the baseline's seed, and the control another."""
    # stored by earlier versions, details don't say it
    own, baseline, control = (
        nets[name].get("trained", {}).get("seed_offset") for name in (net, BASELINE, CONTROL)
    )
    return None not in (own, control) and own == baseline != control


CLAIM = Claim(
    "C2",
    "Robust training recovers much of the stored adversarial set.",
    f"A net counts if in every seed it has more of the set right than the control, McNemar's p < {SIGNIFICANCE}, "
    "by example and by image, since an image may have one in every norm. What the control has right comes free with another seed; "
    "how much more is much, the paper doesn't say. Less than the control is undecided where a net shares the baseline's seed and the control doesn't.",
    recovers_the_set,
)
