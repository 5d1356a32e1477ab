"""What a claim is, and what becomes of it by what its parts came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal[
    "held",
    "held where decided",
    "in part",
    "not held where decided",
    "not held",
    "undecided",
    "not measured",
]

# of a test, above which its answer may be chance
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Finding:
    """What one part of a claim came to: a net, or one half of what is claimed.

    Attributes:
        subject: the net or the half.
        holds: whether the rule is met; None if what was measured leaves it undecided.
        measured: the numbers, in words.
    """

    subject: str
    holds: bool | None
    measured: str


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        name: C1 to C7.
        says: what the paper says.
        rule: when a part of it counts as held, for people.
        decide: makes the findings of one experiment from its summary and details.
    """

    name: str
    says: str
    rule: str
    decide: Callable[[Mapping[str, Any], Mapping[str, Any]], list[Finding]]


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Return held if all parts hold, not held if none does, in part otherwise; undecided parts have no say."""
    listed = list(findings)
    held = [finding.holds for finding in listed if finding.holds is not None]
    if not held:
        return "undecided" if listed else "not measured"
    if any(held) and not all(held):
        return "in part"
    if len(held) == len(listed):
        return "held" if all(held) else "not held"
    return "held where decided" if all(held) else "not held where decided"


def robust_nets(details: Mapping[str, Any]) -> list[str]:
    """Return the names of the nets that were trained on a ball."""
    return [net for net, about in details["nets"].items() if not about["trains_on_points"]]


def better_in_every_seed(tests: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether the first of two nets has more right in every seed, and not by chance."""
    return all(test["difference"] > 0 and test["p_value"] < SIGNIFICANCE for test in tests)
