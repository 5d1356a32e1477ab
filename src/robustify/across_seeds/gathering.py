"""What all seeds' nets were measured to do, gathered: the summary with its tests, and the details behind the claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from robustify.across_seeds.agreement import Key, require_agreement
from robustify.across_seeds.details import best_on_stored_set, details_of, recipe_of
from robustify.across_seeds.summary import summarise
from robustify.fingerprint import configuration_sha256
from robustify.significance import Right


def gather(
    *,
    labels: npt.NDArray[np.int64],
    test_data_sha256: str,
    settings: Mapping[str, Any],
    measured: Mapping[Key, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the summary (see :func:`robustify.across_seeds.summarise`) and the details.

    Args:
        labels: true classes of the test images, shape (N,).
        test_data_sha256: of the test data.
        settings: the experiment's parameters.
        measured: by seed, net (empty of what belongs to no net) and kind.

    Raises:
        InputError: if a net's measurements aren't of the data that is stored now, or a net was trained
            otherwise than the settings say, on other data, say, or for fewer epochs.
    """
    seeds = list(dict.fromkeys(seed for seed, _, _ in measured))
    nets = list(dict.fromkeys(net for _, net, _ in measured if net))
    require_agreement(
        measured,
        settings,
        seeds=seeds,
        nets=nets,
        images=len(labels),
        test_data_sha256=test_data_sha256,
    )
    on_test_set = [
        {
            net: measured[seed, net, "predictions"].tensors["test_set"].numpy() == labels
            for net in nets
        }
        for seed in seeds
    ]
    on_stored_set = [_on_stored_set(measured, seed, nets) for seed in seeds]
    sources = [measured[seed, "", "adversarial_set"].tensors["source"].numpy() for seed in seeds]
    details = {
        "title": settings["title"],
        "environment": settings["environment"],
        "seeds": seeds,
        "test_images": len(labels),
        "complete": is_complete(settings),
        "adversarial_set": [
            {
                key: measured[seed, "", "adversarial_set"].provenance[key]
                for key in ("size", "by_norm", "sets")
            }
            for seed in seeds
        ],
        "nets": {
            net: {
                **details_of(measured, seeds, net, [right[net] for right in on_test_set]),
                "trained": recipe_of(settings, net),
            }
            for net in nets
        },
        "best_on_adversarial_set": best_on_stored_set(on_stored_set, sources, nets),
        "single_pixel": [
            measured[seed, "", "single_pixel"]
            for seed in seeds
            if (seed, "", "single_pixel") in measured
        ],
        "transfers": [measured[seed, "", "transfer"] for seed in seeds],
        "paper": settings["paper"],
    }
    summary = summarise(seeds, on_test_set, on_stored_set, sources)
    # they are two files, and a process may end between them
    return summary, {**details, "summary_sha256": configuration_sha256(summary)}


def is_complete(settings: Mapping[str, Any]) -> bool:
    """Return whether results are more than a look at the graph, whatever its environment is called.

    Fewer training images are a setting like any other where the settings have a folder of their own, so
    that their results can't be taken for the experiment's.

    Args:
        settings: the experiment's parameters.
    """
    data = settings["data"]
    few = data.get("training_images") and not settings.get("folder")
    return not (few or data.get("test_images"))


def _on_stored_set(measured: Mapping[Key, Any], seed: int, nets: list[str]) -> dict[str, Right]:
    labels = measured[seed, "", "adversarial_set"].tensors["labels"].numpy()
    return {
        net: measured[seed, net, "predictions"].tensors["adversarial_set"].numpy() == labels
        for net in nets
    }
