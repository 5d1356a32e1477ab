"""What a check says: whether what must hold does, by which numbers."""

from __future__ import annotations

from dataclasses import dataclass

from robustify.errors import InputError


class RefusalError(InputError):
    """Something can't be measured at all.

    Attributes:
        verdict: of the gate that says so.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.explanation)
        self.verdict = verdict


@dataclass(frozen=True)
class Verdict:
    """What a gate says.

    Attributes:
        gate: its name.
        passed: whether what must hold does.
        measured: the numbers it looked at, by name.
        explanation: one line, with the numbers.
    """

    gate: str
    passed: bool
    measured: dict[str, float]
    explanation: str

    def require(self) -> None:
        """Refuse what the gate is about.

        Raises:
            RefusalError: with the explanation, if the gate failed.
        """
        if not self.passed:
            raise RefusalError(self)
