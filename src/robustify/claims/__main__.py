"""Puts stored results beside the page of claims and makes the page anew.

Usage: python -m robustify.claims
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from robustify.claims.beginnings import beginnings_of
from robustify.claims.page import render
from robustify.claims.paper import PAPER_TABLES
from robustify.claims.sections.figures import CAPTIONS
from robustify.claims.stored import Beginning, Stored
from robustify.claims.tables import (
    BEGINNING,
    DISTANCES,
    OBJECTIVES,
    READINGS,
    parse_table,
    read_table,
    require_columns,
)
from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.files.stated import read_json
from robustify.fingerprint import configuration_sha256
from robustify.reporting import seed_figures
from robustify.reporting.titles import COMPLETE
from robustify.verified_results import RESULTS as VERIFIED
from robustify.verified_results import stored_entries

DATA, DOCS = Path("data"), Path("docs")
RESULTS = "results"
DETAILS = "_details"


def make_page(data: Path = DATA, docs: Path = DOCS) -> Path:
    """Copy what ``NAME_seeds`` and the pipelines of single tables stored into ``docs`` and write the page; return its path.

    Where the data lie no more, the page is made from the copies in ``docs`` alone. The same stored
    results give the same bytes.

    Args:
        data: folder of the project's data.
        docs: folder of the documentation.

    Raises:
        InputError: if there is nothing stored, or what is stored comes of a part of the data.
    """
    results = docs / RESULTS
    with TemporaryDirectory() as folder:
        # what is stored changes only when the whole page can be made of it
        fresh = Path(folder)
        if results.is_dir():
            shutil.copytree(results, fresh, dirs_exist_ok=True)
        before = {path.name: path.read_bytes() for path in fresh.iterdir()}
        try:
            _collect(data, fresh)
            stored = _load(fresh)
            beginnings = _beginnings(fresh, stored)
            verified = stored_entries(fresh / VERIFIED.name)
        except InputError as error:
            # of the copy, whose original is what can be mended
            raise InputError(str(error).replace(str(fresh), str(results))) from error
        if not stored:
            raise InputError(
                f"no results in {data} or {results}; make them by kedro run --pipeline=mnist_seeds"
            )
        text = render(stored, verified, beginnings)
        # nothing is written that this didn't make: another process may have changed it meanwhile
        for path in sorted(fresh.iterdir()):
            if path.read_bytes() != before.get(path.name):
                with replacing(results / path.name) as temporary:
                    shutil.copyfile(path, temporary)
    page = docs / f"{RESULTS}.md"
    _write(page, text)
    return page


def _collect(data: Path, results: Path) -> None:
    """Copy what is stored in ``data`` into a folder of results, and draw what is drawn of it."""
    for folder in sorted((data / "08_reporting").glob("*/")):
        _copy_seeds(folder, results, folder.name, COMPLETE)
        for table in (OBJECTIVES, READINGS, DISTANCES):
            _copy_table(
                folder / f"{table.removeprefix('_')}.csv",
                results / f"{folder.name}{table}.csv",
                table,
            )
        for settings in sorted(folder.glob("*/")):
            _copy_seeds(settings, results, f"{folder.name}_{settings.name}", settings.name)
    for folder in sorted((data / "07_model_output").glob("*/")):
        for name, curves in beginnings_of(folder).items():
            if not (results / f"{folder.name}_{name}.json").is_file():
                _write(results / f"{folder.name}_{name}{BEGINNING}.csv", curves.to_csv(index=False))
    for path in sorted(results.glob(f"*{DETAILS}.json")):
        _draw(path, results)


def _copy_seeds(folder: Path, results: Path, name: str, environment: str) -> None:
    across = folder / "across_seeds"
    if not (across / "summary.json").is_file() or not (across / "details.json").is_file():
        return
    summary, details = (_read(across / f"{part}.json", keys) for part, keys in _PARTS.items())
    if details["environment"] != environment:
        raise InputError(
            f"{across} is of the environment {details['environment']!r}; gather the complete experiment again: "
            f"kedro run --env={environment} --pipeline={name.removesuffix(f'_{environment}')}_seeds"
        )
    if not details.get("complete", True):
        raise InputError(
            f"{across} is of a part of the data ({details['test_images']:,} test images), which data.training_images or data.test_images ask for; "
            "gather the complete experiment, or give settings of fewer training images a folder of their own"
        )
    # details of earlier versions don't say whose they are
    of_summary = details.get("summary_sha256", configuration_sha256(summary))
    if details["seeds"] != summary["seeds"] or of_summary != configuration_sha256(summary):
        raise InputError(
            f"summary and details in {across} aren't of one gathering; gather the seeds again: "
            f"kedro run --env={environment} --pipeline={name.removesuffix(f'_{environment}')}_seeds"
        )
    _write(results / f"{name}.json", _as_json(summary))
    _write(results / f"{name}{DETAILS}.json", _as_json(details))
    for figure in sorted((across / "figures").glob("*.png")):
        if figure.name in _DRAWN:
            continue
        with replacing(results / f"{name}_{figure.name}") as temporary:
            shutil.copyfile(figure, temporary)


# what is gathered over seeds, and what must be in it
_PARTS = {
    "summary": {"seeds", "adversarial_set", "nets", "tests"},
    "details": {
        "title",
        "environment",
        "seeds",
        "test_images",
        "nets",
        "best_on_adversarial_set",
        "single_pixel",
        "transfer",
        "paper",
    },
}


def _draw(path: Path, results: Path) -> None:
    """Draw what is of all seeds from what is stored of them, so that it stays in step with the page."""
    details, name = _read(path, _PARTS["details"]), path.stem.removesuffix(DETAILS)
    for file, draw in _DRAWN.items():
        with replacing(results / f"{name}_{file}") as temporary:
            draw(details).savefig(temporary, format="png", dpi=150)


_DRAWN = {
    "accuracy_versus_epsilon.png": seed_figures.accuracy_versus_epsilon,
    "learning_curves.png": seed_figures.learning_curves,
}


def _copy_table(path: Path, copy: Path, kind: str) -> None:
    table = parse_table(path) if path.is_file() else None
    # a table of an earlier version doesn't say what it was made with
    if table is not None and set(table.get("environment", ())) == {COMPLETE}:
        require_columns(table, path, kind)
        _write(copy, path.read_text())


def _load(results: Path) -> list[Stored]:
    names = [path.stem.removesuffix(DETAILS) for path in results.glob(f"*{DETAILS}.json")]
    known = list(PAPER_TABLES)
    names.sort(key=lambda name: (known.index(name) if name in known else len(known), name))
    return [
        Stored(
            name.removesuffix(f"_{details['environment']}"),
            summary=_read(results / f"{name}.json", _PARTS["summary"]),
            details=details,
            objectives=read_table(results / f"{name}{OBJECTIVES}.csv", OBJECTIVES),
            readings=read_table(results / f"{name}{READINGS}.csv", READINGS),
            distances=read_table(results / f"{name}{DISTANCES}.csv", DISTANCES),
            figures=tuple(
                f"{RESULTS}/{path.name}"
                for path in sorted(results.glob(f"{name}_*.png"))
                if path.name.removeprefix(f"{name}_") in CAPTIONS
            ),
        )
        for name in names
        for details in [_read(results / f"{name}{DETAILS}.json", _PARTS["details"])]
    ]


def _beginnings(results: Path, stored: list[Stored]) -> list[Beginning]:
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


def _read(path: Path, keys: set[str]) -> dict[str, Any]:
    try:
        found = read_json(path)
    except InputError as error:
        raise InputError(f"{error}; gather the seeds again") from error
    if not isinstance(found, dict) or not keys <= found.keys():
        raise InputError(f"{path} doesn't hold {', '.join(sorted(keys))}; gather the seeds again")
    return found


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def main() -> int:
    """Make the page, say where it lies and return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the documentation")
    options = parser.parse_args()
    try:
        print(make_page(options.data, options.docs))  # noqa: T201
    except InputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
