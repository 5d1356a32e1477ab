"""Accuracies on test and adversarial set beside the paper's tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from robustify.claims.markdown import markdown_table
from robustify.claims.paper import PAPER_RECIPES, PAPER_TABLES
from robustify.claims.stored import Stored
from robustify.configuration import BASELINE, CONTROL
from robustify.levels import size_label
from robustify.reporting.terminal import spread_in_per_cent
from robustify.uncertainty import STEPS


def section(one: Stored, *, level: int = 2) -> str:
    """Accuracies on test and adversarial set beside the paper's."""
    paper = one.details["paper"].get("nets", {})
    rows = []
    for net, measured in one.summary["nets"].items():
        theirs = paper.get(net)
        radius = one.details["nets"][net]["uncertainty_set"].get("radius")
        flagged = one.details["nets"][net].get("failed_gates")
        row = [f"{net} (flagged)" if flagged else net, size_label(radius) if radius else "–"]
        for key in ("test_accuracy", "adversarial_set_accuracy"):
            row += [
                spread_in_per_cent(measured[key]),
                f"{100 * theirs[key]:.2f}" if theirs else "–",
            ]
        rows.append(row)
    beside = PAPER_TABLES.get(one.name, "no table")
    return "\n\n".join(
        [
            f"{'#' * level} {one.title}: the paper's {beside} beside ours",
            markdown_table(
                [
                    "net",
                    "trained at radius",
                    "test set",
                    "the paper",
                    "adversarial set",
                    "the paper",
                ],
                rows,
            ),
            *_recipes(one),
            *_flags(one),
        ]
    )


def _recipes(one: Stored) -> Iterator[str]:
    """Yield in what the nets of the table and the paper's differ, if it is stored."""
    trained = {
        net: about["trained"] for net, about in one.details["nets"].items() if "trained" in about
    }
    if trained and BASELINE in trained:
        yield f"Ours: {_recipe(trained)}. The stored set: {_stored_set(one)}."
        if one.name in PAPER_RECIPES:
            yield f"The paper's: {PAPER_RECIPES[one.name]}"


def _recipe(trained: Mapping[str, Mapping[str, Any]]) -> str:
    plain = trained[BASELINE]
    training, net = plain["training"], plain["architecture"]
    optimiser = training["optimiser"]
    smoothing = plain["objective"]["label_smoothing"]
    parts = [
        f"{net['name']}{f' ({_options(net)})' if len(net) > 1 else ''}",
        f"{training['epochs']} epochs of {plain['images']:,} images in batches of {training['batch_size']:,}",
        f"{optimiser['name']} ({_options(optimiser)}; schedule {training['schedule']['name']})",
        f"images shifted by up to {training['translation']} pixels"
        if training["translation"]
        else "images not shifted",
        f"flips {'on' if training['flips'] else 'off'}",
        *([f"label smoothing {smoothing:g}"] if smoothing else []),
        *_seeds(trained),
    ]
    return ", ".join(parts)


def _seeds(trained: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield whose seed the robust nets share: the weights that they begin with, and the order of the images."""
    robust = {
        about["seed_offset"] for net, about in trained.items() if net not in (BASELINE, CONTROL)
    }
    for net in (BASELINE, CONTROL):
        if net in trained and robust == {trained[net]["seed_offset"]}:
            yield f"robust nets with the {net}'s seed"


def _stored_set(one: Stored) -> str:
    sets = one.details["adversarial_set"][0]["sets"]
    return ", ".join(
        f"{norm} {size_label(ball['radius'])}"
        + (f" ({ball['step']})" if ball.get("step", STEPS[0]) != STEPS[0] else "")
        for norm, ball in sets.items()
    )


def _options(named: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{option.replace('_', ' ')} {_in_words(value)}"
        for option, value in named.items()
        if option != "name"
    )


def _in_words(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def _flags(one: Stored) -> list[str]:
    """Return which nets failed a sanity gate of the brief verification in any seed, if any did."""
    failed = {
        net: gates
        for net, about in one.details["nets"].items()
        if (gates := about.get("failed_gates"))
    }
    return [
        f"Flagged: {net} failed {', '.join(gate.replace('_', ' ') for gate in gates)}; what attacks "
        "measured of it isn't to be believed."
        for net, gates in failed.items()
    ]
