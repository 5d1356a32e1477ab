"""Stored tables that the page is made of: their kinds, and what each must have."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from robustify.errors import InputError

# kinds, as their files' names end
OBJECTIVES = "_objectives"
READINGS = "_readings"
DISTANCES = "_smallest_perturbations"
BEGINNING = "_first_epochs"
WATCHED = "_watched_nets"

# what the page takes of each
COLUMNS: dict[str, tuple[str, ...]] = {
    OBJECTIVES: (
        "net",
        "objective",
        "options",
        "uncertainty_set",
        "radius",
        "test_accuracy",
        "adversarial_set_accuracy",
        "pgd_images",
    ),
    READINGS: (
        "net",
        "norm",
        "step",
        "radius",
        "set_size",
        "test_accuracy",
        "adversarial_set_accuracy",
    ),
    DISTANCES: ("net",),
    BEGINNING: ("net", "epoch", "loss", "test_accuracy", "seconds"),
    WATCHED: (
        "net",
        "epoch",
        "overfits",
        "kept",
        "held_out_accuracy",
        "held_out_fgsm_accuracy",
        "held_out_pgd_accuracy",
    ),
}


def read_table(path: Path, kind: str) -> pd.DataFrame | None:
    """Return a stored table, or None if there is no such file.

    Args:
        path: of a CSV file.
        kind: what the page takes it for.

    Raises:
        InputError: naming the file, if it is no table or lacks what the page takes of it.
    """
    if not path.is_file():
        return None
    table = parse_table(path)
    require_columns(table, path, kind)
    return table


def parse_table(path: Path) -> pd.DataFrame:
    """Return whatever table a file holds.

    Raises:
        InputError: naming the file, if it is no table.
    """
    try:
        return pd.read_csv(path)
    except ValueError as error:
        # pandas' errors of empty and of broken files are of that kind
        raise InputError(f"{path} isn't a table ({error}); make it again") from error


def require_columns(table: pd.DataFrame, path: Path, kind: str) -> None:
    """Refuse a table without rows, or without the columns of its kind.

    Raises:
        InputError: naming the file and what it lacks.
    """
    if lacking := set(COLUMNS[kind]) - set(table.columns):
        raise InputError(f"{path} lacks the columns {', '.join(sorted(lacking))}; make it again")
    if table.empty:
        raise InputError(f"{path} has no nets; make it again")
