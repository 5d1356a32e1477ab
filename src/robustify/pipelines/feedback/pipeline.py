"""Wiring of the feedback pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE
from robustify.pipelines.feedback.nodes import feed_back


def create_pipeline(experiment: str, name: str, *, key: str) -> Pipeline:
    """Return the making of one net's training data, adversarial examples included.

    Args:
        experiment: its name.
        name: of the net.
        key: that its parameters stand under, e.g. ``nets.{name}``.
    """
    return Pipeline(
        [
            Node(
                feed_back,
                ["attacked_net", "clean_training_data", "params:member", "params:device"],
                "training_data",
                name="feed_back",
            ),
        ],
        namespace=f"{experiment}.{name}",
        inputs={
            "attacked_net": f"{experiment}.{BASELINE}.model",
            "clean_training_data": f"{experiment}.training_data",
        },
        parameters={
            "params:member": f"params:{experiment}.{key}",
            "params:device": f"params:{experiment}.device",
        },
        tags=[experiment, "feedback", name],
    )
