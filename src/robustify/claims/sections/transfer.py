"""Whose examples fool whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustify.claims.markdown import markdown_table
from robustify.claims.stored import Stored
from robustify.levels import size_label


def section(one: Stored) -> str:
    """Whose examples fool whom, a matrix a norm."""
    about = one.details["transfer"]
    parts = [
        f"## {one.title}: who falls for whose examples",
        f"Seed {about['seed']}, the first {about['images']:,} test images: single steps that fool the row's net, accuracy of the column's on "
        "them; in brackets on their originals.",
    ]
    for norm, matrix in about["matrix"].items():
        nets = list(matrix)
        rows = [
            [
                f"{row} ({next(iter(columns.values()))['examples']:,})",
                *(_cell(columns.get(column)) for column in nets),
            ]
            for row, columns in matrix.items()
        ]
        parts.append(f"{norm}, radius {size_label(about['sets'][norm]['radius'])}:")
        parts.append(markdown_table(["made on (examples)", *nets], rows))
    # stored by earlier versions, a matrix doesn't say it
    right = about.get("accuracy", {})
    kinds = sorted(set(about["architectures"].values()))
    parts.append(
        f"All these nets are of one architecture, {kinds[0]}: transfer between architectures hasn't been measured here."
        if len(kinds) == 1
        else "Architectures: "
        + ", ".join(
            f"{net} {kind}"
            + (f" ({100 * right[net]:.1f} % of these images right)" if net in right else "")
            for net, kind in about["architectures"].items()
        )
        + ". Where a net has few of the originals right, what it has of the examples says little of transfer between good classifiers."
    )
    return "\n\n".join(parts)


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "0 (100)"
    if cell["accuracy"] is None:
        return "–"
    return f"{100 * cell['accuracy']:.1f} ({100 * cell['original_accuracy']:.1f})"
