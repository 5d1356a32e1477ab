"""Gates before measurements: what can't be attacked is flagged or refused, and nothing is measured of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from robustify.validity import outputs_are_finite
from robustify.verdicts import RefusalError, Verdict
from robustify.verification.gates import OnFailure, judge

Measured = TypeVar("Measured")


def measured_if_attackable(
    examination: Callable[[], list[Verdict]],
    measurement: Callable[[], Measured],
    *,
    title: str,
    on_failure: OnFailure,
) -> tuple[list[Verdict], Measured | None]:
    """Return what the gates say of a net, and what is measured of it: None if its outputs can't be attacked.

    Args:
        examination: looks at the net, see :func:`robustify.verification.examination.examine`.
        measurement: attacks it; called only if its outputs are logits.
        title: whom it is about, e.g. ``mnist.l2``.
        on_failure: whether a failed gate raises or flags the net.

    Raises:
        InputError: as the two, but for outputs that aren't finite where an attack leads: these are a failed verdict.
        GateError: if a gate failed and ``on_failure`` is ``raise``.
    """
    verdicts: list[Verdict] = []
    measured = None
    try:
        verdicts = examination()
        judge(verdicts, title=title, on_failure=on_failure)
        if verdicts[0].passed:
            measured = measurement()
    except RefusalError as refusal:
        # the net's answers are fine where the images are, and not where an attack leads
        if refusal.verdict.gate != outputs_are_finite.__name__:
            raise
        verdicts = [*verdicts, refusal.verdict]
        judge(verdicts, title=title, on_failure=on_failure)
    return verdicts, measured
