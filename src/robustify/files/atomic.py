"""Files that are whole or not there: written under a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robustify.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; what is written there takes the place of ``path`` at the end.

    The temporary name is always the same, so that what a killed process left is overwritten by the next.
    If the body fails, the old file stays as it was and nothing else is left.

    Raises:
        InputError: if the file system refuses to write; names the file and the reason.
    """
    temporary = unfinished(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"{path} couldn't be written: {reason}; mend that and run the same command again"
        ) from error
    finally:
        # a file system that has become read-only refuses even this, and has been named already
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Return the temporary name under which a file is written before it takes the place of ``path``."""
    return path.with_name(f".{path.name}.partial")


def _flush(path: Path) -> None:
    # without it a power cut may leave the new name on an empty file
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
