"""A net beside others under steps of many sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def under_steps(net: Mapping[str, Any]) -> dict[str, Any]:
    """Return a net's sweep without ε = 0, which is no step."""
    return {size: found for size, found in net["fgsm"].items() if float(size) > 0}


def leads_over(
    sweep: Mapping[str, Mapping[str, float]],
    others: Sequence[Mapping[str, Mapping[str, float]]],
) -> dict[str, float]:
    """Return by how much a net's mean accuracy is above the best of the others', at every size of step."""
    return {
        size: accuracy["mean"] - max(other[size]["mean"] for other in others)
        for size, accuracy in sweep.items()
    }


def times_ahead(leads: Mapping[str, float]) -> int:
    """Return at how many sizes of step a net is ahead."""
    return sum(lead > 0 for lead in leads.values())


def times_ahead_in_every_seed(
    sweep: Mapping[str, Mapping[str, Any]], others: Sequence[Mapping[str, Mapping[str, Any]]]
) -> int:
    """Return at how many sizes of step a net is ahead of all others in each single seed."""
    return sum(
        all(
            ours > theirs
            for other in others
            for ours, theirs in zip(accuracy["values"], other[size]["values"], strict=True)
        )
        for size, accuracy in sweep.items()
    )


def in_every_seed(count: int, sweep: Mapping[str, Mapping[str, Any]]) -> str:
    """Return at how many sizes that is in each single seed, in words; nothing of one seed."""
    seeds = len(next(iter(sweep.values()))["values"])
    return f" (in each of the {seeds} seeds at {count})" if seeds > 1 else ""
