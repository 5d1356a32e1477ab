"""How far the nearest wrong answer is."""

from __future__ import annotations

from robustify.claims.markdown import markdown_table
from robustify.claims.stored import Stored


def section(one: Stored) -> str:
    """Return how far Szegedy's attack goes to flip a label; nothing if that wasn't made."""
    table = one.distances
    if table is None:
        return ""
    shown = [column for column in table.columns if column != "environment"]
    return "\n\n".join(
        [
            f"## {one.title}: how far the nearest wrong answer is",
            "Szegedy's attack (Eq. 1) on the first test images of each net: box-constrained L-BFGS with a search over c. Norms "
            "are l2, of the images that the net has right, and what an attack finds bounds the distance from above; `mean_distortion` is Szegedy et al.'s "
            f"sqrt(Σ Δ² / pixels). Command: `kedro run --pipeline={one.name}_smallest_perturbations`",
            markdown_table(
                shown, [[str(row[name]) for name in shown] for row in table.to_dict("records")]
            ),
        ]
    )
