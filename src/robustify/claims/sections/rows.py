"""Rows of the tables of nets: objectives and readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from robustify.levels import size_label


def rows_of_nets(table: pd.DataFrame, shown: Sequence[str]) -> list[list[str]]:
    """Return a row a net of these columns, the net's name first; – where there is no value."""
    return [
        [
            f"{row['net']} (flagged)" if _failed(row) else row["net"],
            *(_value(name, row[name]) for name in shown[1:]),
        ]
        for row in table.to_dict("records")
    ]


def _value(column: str, value: Any) -> str:
    if pd.isna(value):
        return "–"
    if column == "radius":
        return size_label(value) if value else "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _failed(row: Mapping[Any, Any]) -> bool:
    # a file has an empty field where nothing failed
    return isinstance(row.get("failed_gates"), str) and bool(row["failed_gates"])
