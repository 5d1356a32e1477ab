"""Ctrl-C and polite termination, answered when the work at hand is in a state that can be stored."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While open, notes the first interrupting signal instead of obeying it; the second one is obeyed.

    Signals reach the main thread only; in another one this notes nothing. A signal that the process was
    started to ignore, as shells do with Ctrl-C for jobs in the background, stays ignored.
    """

    def __init__(self) -> None:
        self._handlers: dict[signal.Signals, object] = {}
        self._noted: signal.Signals | None = None

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._noted is not None

    def raise_if_requested(self) -> None:
        """Obey the signal noted, as if it had come now."""
        noted, self._noted = self._noted, None
        if noted is not None:
            self._restore()
            signal.raise_signal(noted)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {
                number: signal.signal(number, self._note)
                for number in SIGNALS
                if signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()
        # what came too late for the work at hand still counts, unless an error is on its way
        if kind is None:
            self.raise_if_requested()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted is not None:
            self.raise_if_requested()
        self._noted = signal.Signals(number)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._handlers = {}
