"""The three readings of Eq. 11 side by side."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pandas as pd

from robustify.claims.markdown import markdown_table
from robustify.claims.sections.rows import rows_of_nets
from robustify.claims.stored import Stored
from robustify.levels import size_label
from robustify.reporting.comparison import attacked_columns, heading
from robustify.uncertainty import STEPS


def section(one: Stored) -> str:
    """Return the three readings of Eq. 11 side by side; nothing if that wasn't made."""
    table = one.readings
    if table is None:
        return ""
    shown = ["net", "step", "radius", "set_size", "test_accuracy", "adversarial_set_accuracy"]
    shown += attacked_columns(table)
    return "\n\n".join(
        [
            f"## {one.title}: the three readings of Eq. 11",
            "The same radius, seed and recipe; accuracies in per cent. Set size is how many examples that reading makes against the baseline at the "
            f"stored set's radius, PGD projected gradient in the l∞ ball ε. Command: `kedro run --pipeline={one.name}_readings`",
            markdown_table([*map(heading, shown)], rows_of_nets(table, shown)),
            *conclusions(table),
            _default(table),
        ]
    )


def conclusions(table: pd.DataFrame) -> Iterator[str]:
    """Yield what each ball's rows say of the default, the exact step."""
    columns = ("test_accuracy", "adversarial_set_accuracy", *attacked_columns(table))
    for ball, rows in _by_ball(table).items():
        exact = [row for row in rows if row["step"] == STEPS[0]]
        others = [row for row in rows if row["step"] != STEPS[0]]
        if not exact or not others:
            continue
        ahead = [
            f"{best['step']} by {best[column] - reference:.2f} ({heading(column)})"
            for column in columns
            for best in [max(others, key=itemgetter(column))]
            for reference in [max(row[column] for row in exact)]
            if best[column] > reference
        ]
        yield (
            f"{ball}: ahead of the exact step {', '.join(ahead)}."
            if ahead
            else f"{ball}: no other reading is ahead of the exact step in any accuracy shown here."
        )


def _default(table: pd.DataFrame) -> str:
    """Return for which balls the default, the exact step, is the most accurate on the test set."""
    best = {
        ball: {
            row["step"]
            for row in rows
            if row["test_accuracy"] == max(each["test_accuracy"] for each in rows)
        }
        for ball, rows in _by_ball(table).items()
    }
    ahead = [ball for ball, steps in best.items() if steps == {STEPS[0]}]
    names = f" ({', '.join(ahead)})" if ahead else ""
    return (
        f"The default is the exact step, {STEPS[0]}, which solves Eq. 11 over ball and box: of the readings it is the most accurate on the test set for "
        f"{len(ahead)} of {len(best)} balls{names}. That is one seed."
    )


def _by_ball(table: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Return the nets trained on each ball, by its norm, or norm and radius where the norm has several."""
    balls: dict[tuple[str, float], list[dict[Any, Any]]] = {}
    for row in table.to_dict("records"):
        balls.setdefault((row["norm"], row["radius"]), []).append(row)
    norms = [norm for norm, _ in balls]
    return {
        norm if norms.count(norm) == 1 else f"{norm} {size_label(radius)}": rows
        for (norm, radius), rows in balls.items()
    }
