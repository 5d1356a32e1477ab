"""One net under each objective."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from robustify.claims.markdown import markdown_table
from robustify.claims.sections.rows import rows_of_nets
from robustify.claims.stored import Stored
from robustify.reporting.comparison import attacked_columns, heading
from robustify.uncertainty import TangentBall


def section(one: Stored) -> str:
    """Return one net under each objective; nothing if that wasn't made."""
    table = one.objectives
    if table is None:
        return ""
    shown = ["net", "objective", "options", "uncertainty_set", "radius", "test_accuracy"]
    shown += ["adversarial_set_accuracy", *attacked_columns(table)]
    proved = [str(column) for column in table.columns if str(column).startswith("certified_")]
    shown += proved
    certified = ", certified what interval bounds prove of the same images" if proved else ""
    return "\n\n".join(
        [
            f"## {one.title}: one net under each objective",
            f"The robust nets' seed and recipe, but for what `{one.name}.objectives.nets` changes; accuracies in per cent. PGD is projected gradient in the l∞ ball ε on "
            f"the first {int(table['pgd_images'].max()):,} test images{certified}. Command: `kedro run --pipeline={one.name}_objectives`",
            markdown_table([*map(heading, shown)], rows_of_nets(table, shown)),
            *_remarks(table),
        ]
    )


def _remarks(table: pd.DataFrame) -> Iterator[str]:
    """Yield what the columns of the table don't show."""
    for row in table[table["uncertainty_set"] == TangentBall.name].to_dict("records"):
        if pd.isna(row.get("clipped_length")):
            yield f"{row['net']}: its steps stay on the tangent plane and may leave the pixel box (Eqs. 12, 13)."
        else:
            yield (
                f"{row['net']}: its steps are clipped to the pixel box. What is left of one has {100 * row['clipped_length']:.0f} % of the radius for its "
                f"length, and {100 * row['off_plane']:.0f} % of that stands at right angles to the tangent plane (Eqs. 12, 13)."
            )
    if "operator_norm" in set(table["objective"]):
        yield "operator_norm: the paper knows of no empirical result for it. This is one, at one multiplier, which wasn't searched for."
