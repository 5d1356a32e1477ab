"""Whose examples fool whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from robustify.claims.markdown import markdown_table
from robustify.claims.stored import Stored
from robustify.levels import size_label

Cell = Mapping[str, Any]


def section(one: Stored) -> str:
    """Whose examples fool whom, a matrix a norm, its cells the means over seeds."""
    transfers = one.details["transfers"]
    first = transfers[0]
    several = len(transfers) > 1
    parts = [
        f"## {one.title}: who falls for whose examples",
        f"{'Seeds' if several else 'Seed'} {', '.join(str(transfer['seed']) for transfer in transfers)}, the first {first['images']:,} test images: "
        "single steps that fool the row's net, accuracy of the column's on them; in brackets on their originals."
        + (" Nets of one seed are tried on each other's; means over seeds." if several else ""),
    ]
    for norm in first["matrix"]:
        matrices = [transfer["matrix"][norm] for transfer in transfers]
        nets = list(matrices[0])
        rows = [
            [
                f"{row} ({_examples(matrices, row):,})",
                *(
                    "0 (100)"
                    if column == row
                    else _mean([matrix[row][column] for matrix in matrices])
                    for column in nets
                ),
            ]
            for row in nets
        ]
        parts.append(f"{norm}, radius {size_label(first['sets'][norm]['radius'])}:")
        parts.append(markdown_table(["made on (examples)", *nets], rows))
    return "\n\n".join([*parts, " ".join(_about_nets(transfers))])


def _examples(matrices: Sequence[Mapping[str, Mapping[str, Cell]]], row: str) -> int:
    return round(fmean(next(iter(matrix[row].values()))["examples"] for matrix in matrices))


def _mean(cells: Sequence[Cell]) -> str:
    told = [cell for cell in cells if cell["accuracy"] is not None]
    if not told:
        return "–"
    accuracy, original = (
        100 * fmean(cell[key] for cell in told) for key in ("accuracy", "original_accuracy")
    )
    return f"{accuracy:.1f} ({original:.1f})"


def _about_nets(transfers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield of what architectures the nets are, and which of them all seeds have in common."""
    first = transfers[0]
    kinds = sorted(set(first["architectures"].values()))
    if len(kinds) == 1:
        yield f"All these nets are of one architecture, {kinds[0]}: transfer between architectures hasn't been measured here."
        return
    right = {
        net: fmean(transfer["accuracy"][net] for transfer in transfers)
        # stored by earlier versions, a matrix doesn't say it
        for net in first.get("accuracy", {})
    }
    named = (
        f"{net} {kind}" + (f" ({100 * right[net]:.1f} % of these images right)" if right else "")
        for net, kind in first["architectures"].items()
    )
    yield f"Architectures: {', '.join(named)}."
    yield "Where a net has few of the originals right, what it has of the examples says little of transfer between good classifiers."
    weights = [transfer.get("net_sha256", {}) for transfer in transfers]
    shared = [net for net in weights[0] if all(one[net] == weights[0][net] for one in weights)]
    if len(transfers) > 1 and shared:
        yield f"The same in every seed, trained once: {', '.join(shared)}."
