"""What was found of claims' parts, a row a part."""

from __future__ import annotations

from collections.abc import Iterable

from robustify.claims.markdown import markdown_table
from robustify.claims.rules import Finding

_COUNTS = {True: "yes", False: "no", None: "undecided"}


def table_of_findings(rows: Iterable[tuple[str, Finding]]) -> str:
    """Return each finding with what was measured and whether it counts, behind the title of its row."""
    return markdown_table(
        ["", "part", "measured", "counts"],
        [
            [title, finding.subject, finding.measured, _COUNTS[finding.holds]]
            for title, finding in rows
        ],
    )
