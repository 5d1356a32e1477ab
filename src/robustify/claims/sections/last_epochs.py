"""Leads over the last epochs: how much of the last one's accuracy, which C1 counts, is chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from robustify.claims.rules import robust_nets
from robustify.claims.stored import Stored
from robustify.configuration import BASELINE

# epochs over which a curve is averaged
_LATE = 20


def leads(one: Stored) -> Iterator[str]:
    """Yield each robust net's lead on the test set over the last epochs, where a training has many."""
    if not _is_long(one):
        return
    nets = one.details["nets"].items()
    curves = {net: about["curves"]["test_accuracy"] for net, about in nets}
    late = {net: fmean(fmean(curve[-_LATE:]) for curve in each) for net, each in curves.items()}
    last = {net: fmean(curve[-1] for curve in each) for net, each in curves.items()}
    listed = ", ".join(
        f"{net} {100 * (late[net] - late[BASELINE]):+.2f} ({100 * (last[net] - last[BASELINE]):+.2f})"
        for net in robust_nets(one.details)
    ).replace("-", "−")
    yield (
        f"Test accuracy against the baseline's, averaged over the last {_LATE} epochs, in points (in brackets after the last one alone, which is what C1 "
        f"counts): {listed}."
    )


def reservation(others: Sequence[Stored]) -> Iterator[str]:
    """Yield which settings' C1 the accuracy of the last epoch decides, where many epochs are alike."""
    long = [one.title for one in others if _is_long(one)]
    if long:
        yield f"C1 of {' and '.join(long)} looks at the nets of the last epoch; leads over the last {_LATE} epochs are in that section."


def _is_long(one: Stored) -> bool:
    nets = one.details["nets"].values()
    return min(len(curve) for about in nets for curve in about["curves"]["test_accuracy"]) >= (
        2 * _LATE
    )
