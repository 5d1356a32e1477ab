"""The three readings of Eq. 11 in one table: what leaving the pixel box, clipping or the exact step changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustify.reporting.shares import percent
from robustify.uncertainty import STEPS


def readings_table(
    sizes: Mapping[str, Mapping[str, int]],
    *,
    evaluations: Mapping[str, Mapping[str, Any]],
    curves: Mapping[str, pd.DataFrame],
    attacks: Mapping[str, Mapping[str, Any]],
    environment: str,
) -> pd.DataFrame:
    """Return a row a net on a ball, ordered by norm, then radius, then reading.

    Args:
        sizes: examples that each reading makes against the baseline, by norm and reading.
        evaluations: see :func:`robustify.pipelines.evaluation.nodes.evaluate_net`, by net.
        curves: learning curve of each net, by net.
        attacks: see :func:`robustify.pipelines.objectives.nodes.attack_net`, by net.
        environment: of the run, e.g. ``base``.

    Returns:
        ``net``, ``norm``, ``radius`` and ``step`` (reading) it was trained with, ``set_size`` (examples
        that this reading makes against the baseline at the stored set's radius), accuracies in per cent
        (on the stored set, which all nets share), seconds an epoch, ``environment``, ``failed_gates``.
    """
    rows = []
    for net, evaluation in evaluations.items():
        ball = evaluation["uncertainty_set"]
        step = ball.get("step", STEPS[0])
        rows.append(
            {
                "net": net,
                "norm": ball["name"],
                "radius": ball["radius"],
                "step": step,
                "set_size": sizes.get(ball["name"], {}).get(step),
                "test_accuracy": percent(evaluation["test_accuracy"]),
                "adversarial_set_accuracy": percent(evaluation["adversarial_set_accuracy"]),
                **{
                    f"fgsm_{epsilon}": percent(share)
                    for epsilon, share in evaluation["epsilon_sweep"].items()
                },
                **{
                    f"pgd_{epsilon}": percent(share)
                    for epsilon, share in attacks[net]["pgd_accuracy"].items()
                },
                "pgd_images": attacks[net]["images"],
                "seconds_per_epoch": round(float(curves[net]["seconds"].mean()), 2),
                "environment": environment,
                "failed_gates": ", ".join(attacks[net]["failed_gates"]),
            }
        )
    rows.sort(key=lambda row: (row["norm"], row["radius"], STEPS.index(row["step"])))
    return pd.DataFrame(rows)
