"""Wiring of the readings pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE, POINT, TANGENT_SET, Experiment
from robustify.pipelines.objectives.pipeline import attack
from robustify.pipelines.readings.nodes import compare_readings, measure_sizes

ROBUSTNESS = "reading_robustness"


def create_pipeline(experiment: str, parameters: Experiment) -> Pipeline:
    """Return the comparison of the readings: every net on a ball of ``nets`` and ``readings``.

    Args:
        experiment: its name.
        parameters: its parameters, with ``readings``.
    """
    # the readings are of a ball and the pixel box: a tangent plane has no exact step
    robust = tuple(
        name
        for name in parameters.nets_with("readings.nets")
        if parameters.all_nets[name][1].uncertainty_set.name not in (POINT, TANGENT_SET)
    )
    return sum(
        (attack(experiment, name, group="readings", output=ROBUSTNESS) for name in robust),
        _comparison(experiment, robust),
    )


def _comparison(experiment: str, nets: tuple[str, ...]) -> Pipeline:
    measured = {
        f"{net}_{dataset}": f"{experiment}.{net}.{dataset}"
        for dataset in ("evaluation", "learning_curve", ROBUSTNESS)
        for net in nets
    }
    return Pipeline(
        [
            Node(
                measure_sizes,
                ["attacked_net", "test_data", "params:adversarial_set", "params:device"],
                "reading_sizes",
                name="measure_sizes",
            ),
            Node(
                update_wrapper(partial(compare_readings, nets=nets), compare_readings),
                ["reading_sizes", "params:environment", *measured],
                "readings",
                name="compare_readings",
            ),
        ],
        namespace=experiment,
        inputs={"attacked_net": f"{experiment}.{BASELINE}.model", **measured},
        parameters={
            f"params:{key}": f"params:{experiment}.{key}"
            for key in ("adversarial_set", "device", "environment")
        },
        tags=[experiment, "readings"],
    )
