"""Puts stored results beside the page of claims and makes the page anew.

Usage: python -m robustify.claims
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from robustify.claims.collecting import collect, draw_strong_attacks, write
from robustify.claims.loading import RESULTS, load, load_beginnings
from robustify.claims.page import render
from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.verified_results import RESULTS as VERIFIED
from robustify.verified_results import stored_entries

DATA, DOCS = Path("data"), Path("docs")


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
            collect(data, fresh)
            verified = stored_entries(fresh / VERIFIED.name)
            draw_strong_attacks(verified, fresh)
            stored = load(fresh)
            beginnings = load_beginnings(fresh, stored)
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
    write(page, text)
    return page


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
