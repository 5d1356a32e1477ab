"""C6: examples of one net on others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from robustify.claims.rules.base import SIGNIFICANCE, Claim, Finding
from robustify.claims.rules.wording import percent

# of the originals, below which a net is no classifier whose answers to examples say anything
FEW_RIGHT = 0.5


def examples_transfer(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C6: every net on every other's examples, against their originals; other architectures apart."""
    architectures = details["transfer"]["architectures"]
    found = []
    for norm, matrix in details["transfer"]["matrix"].items():
        for alike in (True, False):
            tried = {
                row: {
                    net: cell
                    for net, cell in columns.items()
                    if cell["examples"] and (architectures[net] == architectures[row]) == alike
                }
                for row, columns in matrix.items()
            }
            to = f"nets of {'the same' if alike else 'another'} architecture"
            told = {
                row: [cell for net, cell in cells.items() if not _few_right(matrix, row, net)]
                for row, cells in tried.items()
            }
            for fooling in (True, False):
                chosen = {
                    row: cells
                    for row, cells in told.items()
                    if cells and all(map(_fooled, cells)) == fooling
                }
                if chosen:
                    found.append(_transferred(norm, chosen, to, holds=fooling))
            untold = {
                row: [cell for net, cell in cells.items() if _few_right(matrix, row, net)]
                for row, cells in tried.items()
            }
            if any(untold.values()):
                found.append(
                    _transferred(
                        norm, {row: cells for row, cells in untold.items() if cells}, to, holds=None
                    )
                )
    return found


def _few_right(
    matrix: Mapping[str, Mapping[str, Mapping[str, Any]]], row: str, column: str
) -> bool:
    """Return whether one of two nets has hardly any of the other's originals right."""
    # None where a net has no examples
    shares = (cell["original_accuracy"] for cell in (matrix[row][column], matrix[column][row]))
    return any(share is not None and share < FEW_RIGHT for share in shares)


def _transferred(
    norm: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], to: str, *, holds: bool | None
) -> Finding:
    cells = [cell for row in rows.values() for cell in row]
    sizes = sorted({row[0]["examples"] for row in rows.values()})
    examples = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    fooled = sum(map(_fooled, cells))
    return Finding(
        f"{norm} examples of {', '.join(rows)}: {to}",
        holds,
        f"{examples} examples a net, tried {len(cells)} times; {fooled} times they fool more often than "
        f"their originals do; accuracy on them {_range(cell['accuracy'] for cell in cells)}, on their originals "
        f"{_range(cell['original_accuracy'] for cell in cells)}"
        + (
            f"; one of the two has less than {100 * FEW_RIGHT:.0f} % of the other's originals right, which is no good classifier"
            if holds is None
            else ""
        ),
    )


def _fooled(cell: Mapping[str, Any]) -> bool:
    return bool(cell["fooled"] > cell["mended"] and cell["p_value"] < SIGNIFICANCE)


def _range(shares: Iterable[float]) -> str:
    ordered = sorted(shares)
    return " to ".join(map(percent, dict.fromkeys((ordered[0], ordered[-1]))))


CLAIM = Claim(
    "C6",
    "Adversarial examples transfer between nets (the paper cites this and doesn't measure it).",
    "The examples of a net count if every other net gets more of them wrong than of their originals, "
    f"McNemar's p < {SIGNIFICANCE}; nets of other architectures count apart. Two nets of which one has less than {100 * FEW_RIGHT:.0f} % of the other's originals "
    "right decide nothing. All nets are of one seed.",
    examples_transfer,
)
