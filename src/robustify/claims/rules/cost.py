"""C4: seconds an epoch, and epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median, quantiles
from typing import Any

from robustify.claims.rules.base import Claim, Finding, robust_nets
from robustify.configuration import BASELINE, CONTROL

# "about twice": an epoch's cost in epochs of standard training
ABOUT_TWICE = (1.5, 2.5)
# upper over lower quartile of a net's epochs, beyond which it wasn't the net that took the time
UNEVEN = 1.5
# an accuracy counts as reached when it is as near to the final one: half a point is most of MNIST's error, a tenth
# a handful of CIFAR-10's images
NEAR = (0.005, 0.001)
# "about as many epochs": later by no more than this share of them all
ABOUT_AS_MANY = 0.1


def about_twice_an_epoch(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C4: seconds an epoch against standard training, and epochs until a net is near its final accuracy."""
    nets = details["nets"]
    # others on points may have a penalty, or more images
    plain = {net: nets[net] for net in (BASELINE, CONTROL) if net in nets}
    standard = fmean(map(_seconds, plain.values()))
    found = []
    for net in robust_nets(details):
        ratio, doubt = _seconds(nets[net]) / standard, uneven({net: nets[net], **plain})
        low, high = ABOUT_TWICE
        found += [
            Finding(
                f"{net}: cost",
                None if doubt else low <= ratio <= high,
                f"{ratio:.2f} standard epochs ({_seconds(nets[net]):.1f} s against {standard:.1f} s){doubt and f'; {doubt}'}",
            ),
            _about_as_many_epochs(net, nets[net], list(plain.values())),
        ]
    return found


def _about_as_many_epochs(
    name: str, net: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]
) -> Finding:
    """Return whether a net is near its final accuracy about when the slower standard net is, however near is meant."""
    there = len(plain[0]["curves"]["test_accuracy"][0])
    later = ABOUT_AS_MANY * there
    needed = {near: _epochs_needed(net, near) for near in NEAR}
    slowest = {near: max(_epochs_needed(other, near) for other in plain) for near in NEAR}
    # where standard nets need nearly all epochs, no robust net can need many more
    telling = [near for near in NEAR if slowest[near] + later < there]
    told = [
        f"within {100 * near:.1f} points of its final accuracy after {needed[near]:.1f} epochs, standard nets after {slowest[near]:.1f}"
        + ("" if near in telling else f" (of {there}, so that it says nothing)")
        for near in NEAR
    ]
    holds = all(needed[near] <= slowest[near] + later for near in telling) if telling else None
    return Finding(f"{name}: epochs", holds, "; ".join(told))


def _seconds(net: Mapping[str, Any]) -> float:
    # the median: other work on the machine stretches single epochs severalfold
    return float(median(seconds for curve in net["curves"]["seconds"] for seconds in curve))


def uneven(nets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a doubt, if epochs of one net took very unlike times: not to be relied on, and why.

    Args:
        nets: of the stored details, by name.
    """
    for name, net in nets.items():
        seconds = [second for curve in net["curves"]["seconds"] for second in curve]
        low, _, high = (
            quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
        )
        if high > UNEVEN * low:
            return f"not to be relied on: a quarter of {name}'s epochs took less than {low:.1f} s, a quarter more than {high:.1f} s, as other work on the machine would have it"
    return ""


def _epochs_needed(net: Mapping[str, Any], near: float) -> float:
    """Return the epochs, averaged over seeds, until test accuracy is as near to the last epoch's as given."""
    return fmean(
        1 + next(i for i, accuracy in enumerate(curve) if accuracy >= curve[-1] - near)
        for curve in net["curves"]["test_accuracy"]
    )


CLAIM = Claim(
    "C4",
    "Robust training takes about twice as long an epoch, and no more epochs (Fig. 5: about as many).",
    f"Cost counts if an epoch takes {ABOUT_TWICE[0]} to {ABOUT_TWICE[1]} times that of the standard nets; epochs count if "
    f"the net is within {' and within '.join(f'{100 * near:.1f}' for near in NEAR)} points of its final test accuracy no later than the slower standard net by "
    f"more than {100 * ABOUT_AS_MANY:.0f} % of all epochs. Where that one needs nearly all of them, or epochs took very unlike times, it is undecided and has no say. "
    "Under `conf/base` the learning rate falls to 0, which has a say in when nets are near the end. Seconds are the median epoch's of the "
    "stored runs, whatever else the machine had to do.",
    about_twice_an_epoch,
)
