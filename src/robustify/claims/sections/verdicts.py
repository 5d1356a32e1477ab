"""The verdicts on all claims, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from robustify.claims.markdown import markdown_table
from robustify.claims.rules import CLAIMS, Finding, verdict_of
from robustify.claims.sections import last_epochs
from robustify.claims.stored import Stored


def section(stored: Sequence[Stored], decided: Mapping[str, Mapping[str, list[Finding]]]) -> str:
    """Return a row a claim: what becomes of it in each experiment, and in all together."""
    rows = [
        [
            claim.name,
            claim.says,
            *(verdict_of(decided[claim.name][one.name]) for one in stored),
            f"**{verdict_of(chain.from_iterable(decided[claim.name].values()))}**",
        ]
        for claim in CLAIMS
    ]
    return markdown_table(["", "the paper says", *(one.title for one in stored), "together"], rows)


def under_other_settings(others: Sequence[Stored]) -> Iterator[str]:
    """Yield the verdicts under settings that aren't the default ones, a row each."""
    if not others:
        return
    yield "By the same rules under other settings, which have no part in the verdicts above (each has a section below):"
    yield markdown_table(
        ["", "seeds", *(claim.name for claim in CLAIMS)],
        [
            [
                one.title,
                ", ".join(map(str, one.summary["seeds"])),
                *(verdict_of(claim.decide(one.summary, one.details)) for claim in CLAIMS),
            ]
            for one in others
        ],
    )
    yield from last_epochs.reservation(others)
