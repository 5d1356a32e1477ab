"""The claims and tables under other settings than those of conf/base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from robustify.claims.rules import CLAIMS, Finding, verdict_of
from robustify.claims.sections import accuracies, figures, last_epochs, runs
from robustify.claims.sections.findings import table_of_findings
from robustify.claims.stored import Stored
from robustify.reporting.titles import COMPLETE


def section(one: Stored, decided: Mapping[str, Mapping[str, list[Finding]]]) -> str:
    """What the claims and tables are under other settings than those of conf/base."""
    rows = [
        (claim.name, finding)
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
            *last_epochs.leads(one),
            runs.section([one]),
            table_of_findings(rows),
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
