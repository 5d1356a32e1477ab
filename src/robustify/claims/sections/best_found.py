"""The most accurate nets that were found, and why none might be better than the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from robustify.claims.rules import Claim, Finding
from robustify.claims.stored import Stored
from robustify.configuration import BASELINE, CONTROL
from robustify.levels import size_label


def section(
    claim: Claim,
    stored: Sequence[Stored],
    found: Mapping[str, list[Finding]],
    others: Sequence[Stored],
) -> Iterator[str]:
    """Yield what other objectives and radii come to on the test set, and why no net might be better."""
    for one in stored:
        if one.objectives is not None:
            yield f"{one.title}, other objectives and radii (below): {_most_accurate(one.objectives)}"
        fewer = [
            other
            for other in others
            if other.name == one.name and 0 < _images(other) < _images(one)
        ]
        there = [claim.decide(other.summary, other.details) for other in fewer]
        yield from map(_from_fewer_images, fewer, there)
        held = {finding.holds for finding in found[one.name]}
        if False in held and True not in held:
            yield (
                f"Why not on {one.title}: {_why_none(one, [*zip(fewer, there, strict=True)])} "
                "What else was measured and tried is in [findings.md](findings.md)."
            )


def _images(one: Stored) -> int:
    """Return how many images nets were trained on; 0 if that isn't stored."""
    return int(one.details["nets"][BASELINE].get("trained", {}).get("images", 0))


def _from_fewer_images(one: Stored, found: Sequence[Finding]) -> str:
    """Return what robust training gains where there is more to overfit."""
    epochs = one.details["nets"][BASELINE]["trained"]["training"]["epochs"]
    measured = "; ".join(f"{finding.subject} {finding.measured}" for finding in found)
    return f"{one.title}, {_images(one):,} training images gone through {epochs} times (below): {measured}."


def _why_none(one: Stored, from_fewer: Sequence[tuple[Stored, Sequence[Finding]]]) -> str:
    """Return what is known of why no net is more accurate than the baseline."""
    epochs = len(one.details["nets"][BASELINE]["curves"]["test_accuracy"][0])
    guess = f"{epochs} epochs overfit nothing that a regulariser could mend"
    if not from_fewer:
        return f"that isn't known. A guess that wasn't put to a test: {guess}."
    for other, found in from_fewer:
        gaining = [finding.subject for finding in found if finding.holds]
        if gaining:
            unlike = _trained_otherwise(one, other)
            how, besides = (
                (f" ({unlike})", ", or that these settings matter") if unlike else ("", "")
            )
            return (
                f"where there is more to overfit, {' and '.join(gaining)} training gains{how}; so it may be that "
                f"{guess}{besides}."
            )
    if any(finding.holds is None for _, found in from_fewer for finding in found):
        return "that isn't known. Where there is more to overfit, no gain is larger than what seeds differ by."
    return f"that isn't known. It isn't only that {guess}: where there is more to overfit, no net gains either."


def _trained_otherwise(one: Stored, other: Stored) -> str:
    """Return in words which radii and which label smoothing the other's nets were trained with, where they aren't this one's."""
    ours, theirs = one.details["nets"], other.details["nets"]
    radii = [
        f"{net} {size_label(theirs[net]['uncertainty_set']['radius'])}"
        for net in theirs
        if net in ours
        and theirs[net]["uncertainty_set"].get("radius")
        != ours[net]["uncertainty_set"].get("radius")
    ]
    smoothing, usual = (
        nets[BASELINE].get("trained", {}).get("objective", {}).get("label_smoothing", 0.0)
        for nets in (theirs, ours)
    )
    unlike = [f"radii of {', '.join(radii)}"] if radii else []
    if smoothing != usual:
        unlike.append(f"label smoothing of {smoothing:g} instead of {usual:g}")
    return " and ".join(unlike)


def _most_accurate(table: pd.DataFrame) -> str:
    """Return which net that isn't plain is best on the test set, and how it stands to the plain ones."""
    accuracies = table.set_index("net")["test_accuracy"]
    plain = accuracies[[net for net in (BASELINE, CONTROL) if net in accuracies.index]]
    others = accuracies.drop(plain.index)
    said = " and ".join(f"the {net}'s {accuracy:.2f}" for net, accuracy in plain.items())
    return (
        f"of the {len(others)} nets that aren't standard the most accurate is {others.idxmax()} with {others.max():.2f} %, against {said} "
        f"({int((others > plain.max()).sum())} of {len(others)} are above both). That is one seed, and the best of several looks better than it is."
    )
