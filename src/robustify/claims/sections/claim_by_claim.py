"""One claim: its parts, what was measured of each, and whether it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from robustify.claims.rules import Claim, Finding, verdict_of
from robustify.claims.sections import best_found
from robustify.claims.sections.findings import table_of_findings
from robustify.claims.stored import Stored


def section(
    claim: Claim,
    stored: Sequence[Stored],
    found: Mapping[str, list[Finding]],
    others: Sequence[Stored],
) -> str:
    """Return the claim's rule and what it makes of what was measured, a row a part."""
    rows = [(one.title, finding) for one in stored for finding in found[one.name]]
    return "\n\n".join(
        [
            f"### {claim.name}: {verdict_of(chain.from_iterable(found.values()))}",
            f"{claim.says}\n*Rule:* {claim.rule}",
            table_of_findings(rows) if rows else "Not measured.",
            *(best_found.section(claim, stored, found, others) if claim.name == "C1" else ()),
            "Command: "
            + ", ".join(
                f"`kedro run --pipeline={one.name}_seeds`" for one in stored if found[one.name]
            ),
        ]
    )
