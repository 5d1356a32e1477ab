"""One process at a time on an experiment's data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from robustify.errors import InputError

DATA = Path("data")


@contextmanager
def exclusive(experiments: Iterable[str]) -> Iterator[None]:
    """Hold a lock on every experiment's data; the system frees it however the process ends.

    Raises:
        InputError: if another process holds one of them, or the data can't be written.
    """
    with ExitStack() as held:
        for experiment in experiments:
            held.enter_context(_locked(experiment))
        yield


@contextmanager
def _locked(experiment: str) -> Iterator[None]:
    lock = FileLock(DATA / f".{experiment}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another run is at work on {experiment!r} in {DATA.resolve()}; wait for its end, or stop it"
        ) from None
    except OSError as error:
        raise InputError(
            f"{DATA.resolve()} can't be written: {error.strerror}; make it writable"
        ) from error
    try:
        yield
    finally:
        lock.release()
