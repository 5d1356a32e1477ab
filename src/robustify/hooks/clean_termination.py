"""Ctrl-C and polite termination end a run with the exit status that shells expect."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from types import FrameType

from kedro.framework.hooks import hook_impl

from robustify.machine.interruption import SIGNALS


class CleanTermination:
    """Ends the process with 128 + signal; what was unfinished is marked so in MLflow.

    A training that is going on answers the signal itself: it stores its state first.

    Args:
        ending: called where a notebook or script goes on after a run that was stopped, for Kedro tells hooks of errors, not of signals.
    """

    def __init__(self, ending: Callable[[], None] = lambda: None) -> None:
        self._ending = ending
        # Kedro makes the hooks first of all, and takes seconds until the pipeline runs
        if _is_command("run"):
            self._answer()

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self) -> Generator[None, object, object]:
        """Answer signals by leaving in order, unless another hook refuses the run."""
        self._answer()
        try:
            return (yield)
        except BaseException:
            self._restore()
            raise

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Leave signals to whoever comes next."""
        self._restore()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Leave signals to whoever comes next."""
        self._restore()

    def _answer(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # shells start jobs in the background with Ctrl-C ignored
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._leave)

    def _restore(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) == self._leave:
                    usual = number == signal.SIGINT
                    signal.signal(number, signal.default_int_handler if usual else signal.SIG_DFL)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        print("\nstopped; the same command goes on from here", file=sys.stderr)  # noqa: T201
        # MLflow ends open runs as finished when the process exits; this comes before
        atexit.register(_mark_killed)
        if not _is_command("run"):
            self._restore()
            self._ending()
        sys.exit(128 + number)


def _is_command(name: str) -> bool:
    """Return whether this process is ``kedro NAME``, and no notebook or script that loads the project."""
    # Kedro calls itself "python -m kedro" where it is
    return sys.argv[0].endswith("kedro") and sys.argv[1:2] == [name]


def _mark_killed() -> None:
    if "mlflow" not in sys.modules:
        return
    import mlflow
    from mlflow.exceptions import MlflowException

    while mlflow.active_run() is not None:
        # a run that MLflow can't end now is unfinished for it, and is taken up like one that was killed
        with suppress(MlflowException):
            mlflow.end_run("KILLED")
