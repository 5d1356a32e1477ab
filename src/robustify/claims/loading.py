"""What is stored, read for the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robustify.claims.paper import PAPER_TABLES
from robustify.claims.sections.figures import CAPTIONS, STRONG_ATTACKS, WATCHED_NETS
from robustify.claims.stored import Beginning, Stored
from robustify.claims.tables import BEGINNING, DISTANCES, OBJECTIVES, READINGS, WATCHED, read_table
from robustify.errors import InputError
from robustify.files.stated import read_json
from robustify.reporting.titles import COMPLETE

RESULTS = "results"
DETAILS = "_details"


# what is gathered over seeds, and what must be in it
PARTS = {
    "summary": {"seeds", "adversarial_set", "nets", "tests"},
    "details": {
        "title",
        "environment",
        "seeds",
        "test_images",
        "nets",
        "best_on_adversarial_set",
        "single_pixel",
        "transfers",
        "paper",
    },
}


def load(results: Path) -> list[Stored]:
    """Return all experiments of a folder of results, the paper's first.

    Raises:
        InputError: naming a file that isn't what it should be.
    """
    names = [path.stem.removesuffix(DETAILS) for path in results.glob(f"*{DETAILS}.json")]
    known = list(PAPER_TABLES)
    names.sort(key=lambda name: (known.index(name) if name in known else len(known), name))
    return [
        Stored(
            name.removesuffix(f"_{details['environment']}"),
            summary=read_part(results / f"{name}.json", PARTS["summary"]),
            details=details,
            objectives=read_table(results / f"{name}{OBJECTIVES}.csv", OBJECTIVES),
            readings=read_table(results / f"{name}{READINGS}.csv", READINGS),
            distances=read_table(results / f"{name}{DISTANCES}.csv", DISTANCES),
            watched=read_table(results / f"{name}{WATCHED}.csv", WATCHED),
            figures=tuple(
                f"{RESULTS}/{path.name}"
                for path in sorted(results.glob(f"{name}_*.png"))
                if path.name.removeprefix(f"{name}_") in {*CAPTIONS, STRONG_ATTACKS, WATCHED_NETS}
            ),
        )
        for name in names
        for details in [read_part(results / f"{name}{DETAILS}.json", PARTS["details"])]
    ]


def load_beginnings(results: Path, stored: list[Stored]) -> list[Beginning]:
    """Return what was begun of other settings and isn't stored in full."""
    in_full = {(one.name, one.environment) for one in stored}
    return [
        Beginning(one, environment, beginning)
        for one in stored
        if one.environment == COMPLETE
        for path in sorted(results.glob(f"{one.name}_*{BEGINNING}.csv"))
        for environment in [path.stem.removesuffix(BEGINNING).removeprefix(f"{one.name}_")]
        if (one.name, environment) not in in_full
        for beginning in [read_table(path, BEGINNING)]
        if beginning is not None
    ]


def read_part(path: Path, keys: set[str]) -> dict[str, Any]:
    """Return what a file of results holds.

    Raises:
        InputError: naming the file, if it isn't JSON or lacks one of the keys.
    """
    try:
        found = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; gather the seeds again") from error
    if not isinstance(found, dict) or not keys <= found.keys():
        raise InputError(f"{path} doesn't hold {', '.join(sorted(keys))}; gather the seeds again")
    return found
