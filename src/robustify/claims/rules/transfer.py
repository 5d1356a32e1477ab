"""C6: examples of one net on others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from robustify.claims.rules.base import SIGNIFICANCE, Claim, Finding
from robustify.claims.rules.wording import percent

Cell = Mapping[str, Any]

# of the originals, below which a net is no classifier whose answers to examples say anything
FEW_RIGHT = 0.5


def examples_transfer(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C6: every net on every other's examples, against their originals, in every seed; other architectures apart."""
    transfers = details["transfers"]
    found = []
    for norm, rows in transfers[0]["matrix"].items():
        for alike in (True, False):
            to = f"nets of {'the same' if alike else 'another'} architecture"
            told: dict[bool | None, dict[str, list[Cell]]] = {True: {}, False: {}, None: {}}
            for row in rows:
                telling, silent = _tried(transfers, norm, row, alike=alike)
                if telling:
                    told[all(map(_fooled, telling))][row] = telling
                if silent:
                    told[None][row] = silent
            found += [
                _transferred(norm, chosen, to, holds=holds)
                for holds, chosen in told.items()
                if chosen
            ]
    return found


def _tried(
    transfers: Sequence[Mapping[str, Any]], norm: str, row: str, *, alike: bool
) -> tuple[list[Cell], list[Cell]]:
    """Return how nets of all seeds took a row's examples: those that tell something, and those that don't."""
    telling: list[Cell] = []
    silent: list[Cell] = []
    for transfer in transfers:
        architectures, matrix = transfer["architectures"], transfer["matrix"][norm]
        for column, cell in matrix[row].items():
            if cell["examples"] and (architectures[column] == architectures[row]) == alike:
                (silent if _few_right(matrix, row, column) else telling).append(cell)
    return telling, silent


def _few_right(matrix: Mapping[str, Mapping[str, Cell]], row: str, column: str) -> bool:
    """Return whether one of two nets has hardly any of the other's originals right."""
    # None where a net has no examples
    shares = (cell["original_accuracy"] for cell in (matrix[row][column], matrix[column][row]))
    return any(share is not None and share < FEW_RIGHT for share in shares)


def _transferred(
    norm: str, rows: Mapping[str, Sequence[Cell]], to: str, *, holds: bool | None
) -> Finding:
    cells = [cell for row in rows.values() for cell in row]
    sizes = sorted({cell["examples"] for cell in cells})
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


def _fooled(cell: Cell) -> bool:
    return bool(cell["fooled"] > cell["mended"] and cell["p_value"] < SIGNIFICANCE)


def _range(shares: Iterable[float]) -> str:
    ordered = sorted(shares)
    return " to ".join(map(percent, dict.fromkeys((ordered[0], ordered[-1]))))


CLAIM = Claim(
    "C6",
    "Adversarial examples transfer between nets (the paper cites this and doesn't measure it).",
    "The examples of a net count if every other net gets more of them wrong than of their originals, "
    f"McNemar's p < {SIGNIFICANCE}; nets of other architectures count apart. Two nets of which one has less than {100 * FEW_RIGHT:.0f} % of the other's originals "
    "right decide nothing. Nets of one seed are tried on each other's, and it must be so in every seed that was tried.",
    examples_transfer,
)
