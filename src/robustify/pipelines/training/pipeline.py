"""Wiring of the training pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE, POINT, Net
from robustify.pipelines.training.nodes import train_net


def create_pipeline(
    experiment: str, name: str, net: Net, *, key: str | None = None, planes: bool = False
) -> Pipeline:
    """Return the training of one net of an experiment, under a namespace of its own.

    Args:
        experiment: its name.
        name: of the net.
        net: its parameters.
        key: that its parameters stand under; ``nets.{name}`` if left out.
        planes: whether it needs the training images' tangent planes.
    """
    title = f"{experiment}.{name}"
    inputs: dict[str, str] = {
        dataset: f"{experiment}.{dataset}" for dataset in ("training_data", "test_data")
    }
    if net.fed_back is not None:
        inputs["training_data"] = f"{title}.training_data"
    shared = ["net", "training", "objective", "seed", "device"]
    extra = []
    if planes:
        inputs["neighbours"] = f"{experiment}.neighbours"
        shared.append("tangent_planes")
        extra = ["neighbours", "params:tangent_planes"]
    return Pipeline(
        [
            Node(
                update_wrapper(partial(train_net, title=title), train_net),
                [
                    "training_data",
                    "test_data",
                    "params:net",
                    "params:training",
                    "params:objective",
                    "params:member",
                    "params:seed",
                    "params:device",
                    *extra,
                ],
                ["model", "learning_curve"],
                name="train",
            ),
        ],
        namespace=title,
        inputs=inputs,
        parameters={
            **{f"params:{key}": f"params:{experiment}.{key}" for key in shared},
            "params:member": f"params:{experiment}.{key or f'nets.{name}'}",
        },
        tags=[experiment, "training", _stage(name, net), name],
    )


def _stage(name: str, net: Net) -> str:
    if name == BASELINE:
        return "baseline"
    return "control" if net.uncertainty_set.name == POINT else "robust"
