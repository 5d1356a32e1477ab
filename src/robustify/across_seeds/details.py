"""What each net was measured to do in all seeds: the numbers behind the claims, and what the summary leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from robustify.across_seeds.agreement import Key
from robustify.configuration import ALL_ATTACKS, BASELINE, CONTROL, POINT, Net
from robustify.recipes import asked_for
from robustify.significance import Right, by_image, compare, over_seeds

_BOOTSTRAP_SEED = 1
BEST = "linf"


def details_of(
    measured: Mapping[Key, Any], seeds: list[int], net: str, rights: list[Right]
) -> dict[str, Any]:
    """Return what one net was measured to do: curves, accuracies under steps and attacks, failed gates.

    Args:
        measured: by seed, net (empty of what belongs to no net) and kind.
        seeds: of the experiment.
        net: which one.
        rights: for each seed, which test images it has right.
    """
    evaluations = [measured[seed, net, "evaluation"] for seed in seeds]
    curves = [measured[seed, net, "learning_curve"] for seed in seeds]
    steps = [measured[seed, net, "steps"] for seed in seeds]
    verifications = [
        measured[seed, net, "verification"]
        for seed in seeds
        if (seed, net, "verification") in measured
    ]
    return {
        "uncertainty_set": evaluations[0]["uncertainty_set"],
        "trains_on_points": evaluations[0]["uncertainty_set"]["name"] == POINT,
        "curves": {
            "test_accuracy": [curve["test_accuracy"].tolist() for curve in curves],
            "seconds": [curve["seconds"].round(2).tolist() for curve in curves],
        },
        "fgsm": {
            epsilon: over_seeds(
                [evaluation["epsilon_sweep"][epsilon] for evaluation in evaluations]
            )
            for epsilon in evaluations[0]["epsilon_sweep"]
        },
        "clean": over_seeds([float(right.mean()) for right in rights]),
        "step_images": steps[0]["images"],
        "step_clean": over_seeds([float(right[: steps[0]["images"]].mean()) for right in rights]),
        "steps": {
            norm: {
                radius: over_seeds([step["accuracy"][norm][radius] for step in steps])
                for radius in by_radius
            }
            for norm, by_radius in steps[0]["accuracy"].items()
        },
        "attacked": _attacked(verifications),
        "failed_gates": sorted({gate for found in verifications for gate in found["failed_gates"]}),
    }


def _attacked(verifications: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return accuracies under all attacks of the brief verification, a row a ball."""
    if not verifications:
        return []
    rows = [
        {
            (row["norm"], row["epsilon"]): row
            for row in verification["measured"]
            if row["attack"] == ALL_ATTACKS
        }
        for verification in verifications
    ]
    return [
        {
            "norm": norm,
            "epsilon": epsilon,
            "images": verifications[0]["images"],
            "accuracy": over_seeds([found[norm, epsilon]["accuracy"] for found in rows]),
        }
        for norm, epsilon in rows[0]
        if all((norm, epsilon) in found for found in rows)
    ]


def best_on_stored_set(
    rights: list[dict[str, Right]], sources: list[npt.NDArray[Any]], nets: list[str]
) -> dict[str, Any]:
    """Return the paired tests of the l∞ net against every other robust net on the stored set, a seed each.

    Args:
        rights: for each seed, by net, which examples it has right.
        sources: for each seed, the image that each example was made of.
        nets: their names.
    """
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    others = [net for net in nets if net not in (BASELINE, CONTROL, BEST)]
    if BEST not in nets:
        return {}
    return {
        net: [
            {
                **asdict(compare(right[BEST], right[net], generator=generator, sources=images)),
                "by_image": by_image(right[BEST], right[net], images),
            }
            for right, images in zip(rights, sources, strict=True)
        ]
        for net in others
    }


def recipe_of(settings: Mapping[str, Any], net: str) -> dict[str, Any]:
    """Return what a net was trained with, and which seed, counted from the experiment's."""
    asked = Net(**settings["nets"][net])
    recipe = asked_for(settings, asked)
    del recipe["seed"]
    return {**recipe, "seed_offset": asked.seed_offset}
