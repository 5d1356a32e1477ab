"""What must be undone however a run ends: Kedro tells its hooks of success and of errors, not of signals or refusals."""

from __future__ import annotations

from abc import ABC, abstractmethod


class EndsWithRun(ABC):
    """A hook that is told by :class:`robustify.session.OneLineSession` that a run is over, whatever became of it."""

    @abstractmethod
    def end(self) -> None:
        """Undo what the run had taken; called after every run, more than once at times."""
