"""One run at a time on an experiment's data."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from click import ClickException
from filelock import FileLock, Timeout
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from robustify.hooks.experiments import experiments_in

DATA = Path("data")


class ExclusiveData:
    """Holds a lock on every experiment of the run; the system frees it however the process ends."""

    def __init__(self) -> None:
        self._locks: list[FileLock] = []

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> Generator[None, object, object]:
        """Lock the experiments' data before any other hook touches them, or say in one line who is at work on them."""
        self._acquire(pipeline)
        try:
            return (yield)
        except BaseException:
            self._release()
            raise

    def _acquire(self, pipeline: Pipeline) -> None:
        for experiment in experiments_in(pipeline):
            lock = FileLock(DATA / f".{experiment}.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                self._release()
                raise ClickException(
                    f"another run is at work on {experiment!r} in {DATA.resolve()}; wait for its end, or stop it"
                ) from None
            except OSError as error:
                self._release()
                raise ClickException(
                    f"{DATA.resolve()} can't be written: {error.strerror}; make it writable"
                ) from error
            self._locks.append(lock)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Free the data."""
        self._release()

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self) -> None:
        """Free the data."""
        self._release()

    def _release(self) -> None:
        for lock in self._locks:
            lock.release()
        self._locks.clear()
