"""Wiring of the adversarial-set pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE
from robustify.pipelines.adversarial_set.nodes import make_adversarial_set


def create_pipeline(experiment: str) -> Pipeline:
    """Return the making of one experiment's adversarial set."""
    return Pipeline(
        [
            Node(
                make_adversarial_set,
                ["model", "test_data", "params:adversarial_set", "params:device"],
                ["adversarial_set", "attack_time"],
                name="attack",
            ),
        ],
        namespace=experiment,
        inputs={"model": f"{experiment}.{BASELINE}.model"},
        parameters={
            f"params:{key}": f"params:{experiment}.{key}" for key in ("adversarial_set", "device")
        },
        tags=[experiment, "adversarial_set"],
    )
