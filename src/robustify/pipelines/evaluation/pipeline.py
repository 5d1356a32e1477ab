"""Wiring of the evaluation pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from robustify.pipelines.evaluation.nodes import evaluate_net


def create_pipeline(experiment: str, name: str) -> Pipeline:
    """Return the evaluation of one net of an experiment."""
    shared = ("test_data", "adversarial_set")
    return Pipeline(
        [
            Node(
                evaluate_net,
                ["model", *shared, "params:evaluation", "params:device"],
                "evaluation",
                name="evaluate",
            ),
        ],
        namespace=f"{experiment}.{name}_evaluation",
        inputs={
            "model": f"{experiment}.{name}.model",
            **{dataset: f"{experiment}.{dataset}" for dataset in shared},
        },
        outputs={"evaluation": f"{experiment}.{name}.evaluation"},
        parameters={
            f"params:{key}": f"params:{experiment}.{key}" for key in ("evaluation", "device")
        },
        tags=[experiment, "evaluation", name],
    )
