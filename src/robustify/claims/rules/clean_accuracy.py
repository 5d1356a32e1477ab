"""C1: accuracy on clean test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from robustify.claims.rules.base import Claim, Finding, robust_nets
from robustify.claims.rules.wording import p_values, points, points_range
from robustify.configuration import BASELINE, CONTROL
from robustify.significance import interval_over_seeds


def higher_test_accuracy(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C1: each robust net against the baseline on the same test images, and against all standard nets over seeds."""
    standard = list(_standard_nets(summary, details).values())
    found = []
    for net in robust_nets(details):
        tested = summary["tests"]["test_set"][net]
        images = tested["interval"]
        robust = summary["nets"][net]["test_accuracy"]["values"]
        seeds = interval_over_seeds(robust, standard)
        found.append(
            Finding(
                net,
                _surely_above(images, seeds),
                f"{points(tested['difference']['mean'])} against the baseline (95 % interval over images {points_range(images)}; "
                f"McNemar's p by seed: {p_values(tested['by_seed'])}), {points(fmean(robust) - fmean(standard))} against all standard nets "
                f"({len(robust)} against {len(standard)}, 95 % interval over seeds {points_range(seeds) if seeds else 'unknown'})",
            )
        )
    return found


def _standard_nets(summary: Mapping[str, Any], details: Mapping[str, Any]) -> dict[int, float]:
    """Return the test accuracy of every standard net by the seed it was trained with; a seed's control may be another's baseline."""
    accuracies: dict[int, float] = {}
    for net in (CONTROL, BASELINE):
        # stored by earlier versions, details don't say it
        offset = details["nets"].get(net, {}).get("trained", {}).get("seed_offset")
        if offset is None and net != BASELINE:
            continue
        values = summary["nets"][net]["test_accuracy"]["values"]
        accuracies |= {
            seed + (offset or 0): value
            for seed, value in zip(summary["seeds"], values, strict=True)
        }
    return accuracies


def _surely_above(images: Sequence[float], seeds: Sequence[float] | None) -> bool | None:
    if seeds is None:
        return None
    if images[0] > 0 and seeds[0] > 0:
        return True
    return False if images[1] < 0 and seeds[1] < 0 else None


CLAIM = Claim(
    "C1",
    "Robust training improves accuracy on clean test images.",
    "A net counts if it is above the baseline with the whole 95 % interval over test images (bootstrap, these seeds' nets as they are), and above all "
    "standard nets with the whole 95 % interval over seeds (Welch's), since nets that differ in nothing but their seed differ, too. It doesn't if both lie "
    "below 0; all else is undecided. Neither interval is corrected for testing several nets, and each leaves out what the other covers: the one over images takes these nets as given, the one over seeds these images.",
    higher_test_accuracy,
)
