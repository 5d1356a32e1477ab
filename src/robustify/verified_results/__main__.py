"""Gathers what the stored full verifications measured into one file, for the page of results.

Usage: python -m robustify.verified_results
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from click import ClickException

from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.verified_results.entries import RESULTS, lines_of, merge, no_smaller, stored_entries
from robustify.verified_results.gathering import gather

DATA, CONF = Path("data"), Path("conf")


def _require_folders(*folders: Path) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder")


def main(arguments: list[str] | None = None) -> int:
    """Write the file, say what it holds and return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--conf", type=Path, default=CONF, help="folder of the configurations")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to write")
    options = parser.parse_args(arguments)
    try:
        _require_folders(options.data, options.conf)
        measured, flagged, skipped = gather(options.data, options.conf)
        before = stored_entries(options.output)
        measured, smaller = no_smaller(before, measured)
        entries = merge(before, measured)
        with replacing(options.output) as temporary:
            temporary.write_text("".join(lines_of(entries)))
    except (InputError, FileNotFoundError, ClickException) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    for line in skipped + smaller:
        print(f"left out, {line}", file=sys.stderr)  # noqa: T201
    for line in flagged:
        print(f"flagged, it failed sanity gates: {line}", file=sys.stderr)  # noqa: T201
    fresh = sum(map(len, measured.values()))
    print(f"{options.output}: {len(entries)} entries, {fresh} of them from {options.data}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
