"""Which runs results come from."""

from __future__ import annotations

from collections.abc import Sequence

from robustify.claims.markdown import markdown_table
from robustify.claims.stored import Stored


def section(stored: Sequence[Stored]) -> str:
    """Return a row an experiment: its seeds, the sizes of its adversarial sets, the command."""
    rows = []
    for one in stored:
        seeds = one.summary["seeds"]
        count = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}: {', '.join(map(str, seeds))}"
        sizes = ", ".join(f"{size:,}" for size in one.summary["adversarial_set"]["size"])
        theirs = one.details["paper"].get("adversarial_set_size")
        rows.append(
            [
                one.title,
                count,
                sizes,
                f"{theirs:,}" if theirs else "–",
                f"`kedro run {one.command}`",
            ]
        )
    return markdown_table(
        ["", "run with", "adversarial set, by seed", "the paper's", "gathered by"],
        rows,
    )
