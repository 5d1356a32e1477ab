"""Wiring of the training pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE, POINT, Net
from robustify.pipelines.training.nodes import train_net


def create_pipeline(experiment: str, name: str, net: Net) -> Pipeline:
    """Return the training of one net of an experiment, under a namespace of its own."""
    title = f"{experiment}.{name}"
    inputs = ("training_data", "test_data")
    shared = ("net", "training", "objective", "seed", "device")
    return Pipeline(
        [
            Node(
                update_wrapper(partial(train_net, title=title), train_net),
                [
                    *inputs,
                    "params:net",
                    "params:training",
                    "params:objective",
                    "params:member",
                    "params:seed",
                    "params:device",
                ],
                ["model", "learning_curve"],
                name="train",
            ),
        ],
        namespace=title,
        inputs={dataset: f"{experiment}.{dataset}" for dataset in inputs},
        parameters={
            **{f"params:{key}": f"params:{experiment}.{key}" for key in shared},
            "params:member": f"params:{experiment}.nets.{name}",
        },
        tags=[experiment, "training", _stage(name, net), name],
    )


def _stage(name: str, net: Net) -> str:
    if name == BASELINE:
        return "baseline"
    return "control" if net.uncertainty_set.name == POINT else "robust"
