"""The claims and tables under other settings than those of conf/base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean

from robustify.claims.markdown import markdown_table
from robustify.claims.rules import CLAIMS, Finding, robust_nets, verdict_of
from robustify.claims.sections import accuracies, figures, runs
from robustify.claims.sections.claim_by_claim import COUNTS
from robustify.claims.stored import Stored
from robustify.configuration import BASELINE
from robustify.reporting.titles import COMPLETE

# epochs over which a curve is averaged, to see what of its end is chance
LATE = 20


def section(one: Stored, decided: Mapping[str, Mapping[str, list[Finding]]]) -> str:
    """What the claims and tables are under other settings than those of conf/base."""
    rows = [
        [claim.name, finding.subject, finding.measured, COUNTS[finding.holds]]
        for claim in CLAIMS
        for finding in claim.decide(one.summary, one.details)
    ]
    return "\n\n".join(
        [
            f"## {one.title}",
            "The same claims by the same rules, under other settings. The verdicts together don't count these nets. Trained by "
            + ", ".join(
                f"`kedro run --env={one.environment} --pipeline={one.name}_robust --params={one.name}.seed={seed}`"
                for seed in one.summary["seeds"]
            )
            + f". What the settings are stands in `conf/{one.environment}`; where nets differ in more than the uncertainty set, such as by a batch "
            "normalisation of the input, C1 can't tell that from robust training.",
            *_beside_complete(one, decided),
            *late_means(one),
            runs.section([one]),
            markdown_table(["", "part", "measured", "counts"], rows),
            accuracies.section(one, level=3),
            *figures.shown(one),
            "Where steps leave the pixel box, figures draw what lies outside at its border.",
        ]
    )


def _beside_complete(
    one: Stored, decided: Mapping[str, Mapping[str, list[Finding]]]
) -> Iterator[str]:
    """Yield which verdicts are those of the same experiment under conf/base, and which aren't."""
    if not all(one.name in found for found in decided.values()):
        return
    here = {claim.name: verdict_of(claim.decide(one.summary, one.details)) for claim in CLAIMS}
    there = {name: verdict_of(found[one.name]) for name, found in decided.items()}
    same = [name for name in here if here[name] == there[name]]
    others = [f"{name} {here[name]}, there {there[name]}" for name in here if name not in same]
    yield (
        f"Verdicts as under `conf/{COMPLETE}`: {', '.join(same) or 'none'}; others: {'; '.join(others) or 'none'}."
    )


def late_means(one: Stored) -> Iterator[str]:
    """Yield each robust net's lead on the test set over the last epochs, where a training has many."""
    curves = {
        net: [curve[-LATE:] for curve in about["curves"]["test_accuracy"]]
        for net, about in one.details["nets"].items()
    }
    if (
        min(
            len(curve)
            for each in one.details["nets"].values()
            for curve in each["curves"]["test_accuracy"]
        )
        < 2 * LATE
    ):
        return
    late = {net: fmean(fmean(curve) for curve in each) for net, each in curves.items()}
    last = {net: fmean(curve[-1] for curve in each) for net, each in curves.items()}
    leads = ", ".join(
        f"{net} {100 * (late[net] - late[BASELINE]):+.2f} ({100 * (last[net] - last[BASELINE]):+.2f})"
        for net in robust_nets(one.details)
    ).replace("-", "−")
    yield (
        f"Test accuracy against the baseline's, averaged over the last {LATE} epochs, in points (in brackets after the last one alone, which is what C1 "
        f"counts): {leads}."
    )
