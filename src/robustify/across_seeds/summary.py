"""One experiment with several seeds: means, deviations, and whether a net's lead is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from robustify.configuration import BASELINE, CONTROL
from robustify.significance import Right, bootstrap_interval, by_image, compare, over_seeds

_BOOTSTRAP_SEED = 0


def summarise(
    seeds: Sequence[int],
    on_test_set: Sequence[Mapping[str, Right]],
    on_stored_set: Sequence[Mapping[str, Right]],
    sources: Sequence[npt.NDArray[Any]],
) -> dict[str, Any]:
    """Return means over seeds and paired tests: against the baseline on the test set, the control on the stored one.

    The test set is the same for all seeds, so the interval of the mean difference resamples its
    images with all seeds' nets at once. Every seed's stored set is another, made against its own
    baseline: there each seed is tested by itself.

    Args:
        seeds: of the experiment.
        on_test_set: for each seed, which test images each net has right, by net.
        on_stored_set: for each seed, which examples of that seed's set each net has right, by net.
        sources: for each seed, the test image that each of those examples was made of.
    """
    nets = list(on_test_set[0])
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    return {
        "seeds": list(seeds),
        "adversarial_set": {"size": [len(right[BASELINE]) for right in on_stored_set]},
        "nets": {
            net: {
                "test_accuracy": over_seeds([float(right[net].mean()) for right in on_test_set]),
                "adversarial_set_accuracy": over_seeds(
                    [float(right[net].mean()) for right in on_stored_set]
                ),
            }
            for net in nets
        },
        "tests": {
            "test_set": {
                net: {
                    **_against(BASELINE, net, on_test_set, generator),
                    "interval": _interval(BASELINE, net, on_test_set, generator),
                }
                for net in nets
                if net != BASELINE
            },
            "adversarial_set": {
                net: {
                    **_against(CONTROL, net, on_stored_set, generator, sources),
                    "by_image": [
                        by_image(right[net], right[CONTROL], source)
                        for right, source in zip(on_stored_set, sources, strict=True)
                    ],
                }
                for net in nets
                if CONTROL in nets and net not in (BASELINE, CONTROL)
            },
        },
    }


def _against(
    other: str,
    net: str,
    rights: Sequence[Mapping[str, Right]],
    generator: np.random.Generator,
    sources: Sequence[npt.NDArray[Any] | None] | None = None,
) -> dict[str, Any]:
    each = [
        compare(right[net], right[other], generator=generator, sources=source)
        for right, source in zip(rights, sources or [None] * len(rights), strict=True)
    ]
    return {
        "versus": other,
        "difference": over_seeds([comparison.difference for comparison in each]),
        "by_seed": [asdict(comparison) for comparison in each],
    }


def _interval(
    other: str, net: str, rights: Sequence[Mapping[str, Right]], generator: np.random.Generator
) -> tuple[float, float]:
    differences = sum(right[net].astype(np.int64) - right[other] for right in rights)
    return bootstrap_interval(np.asarray(differences) / len(rights), generator=generator)
