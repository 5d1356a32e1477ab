"""Wiring of the readings pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE, POINT, Experiment
from robustify.pipelines.objectives.pipeline import attack
from robustify.pipelines.readings.nodes import compare_readings, measure_sizes

ROBUSTNESS = "reading_robustness"


def create_pipeline(experiment: str, parameters: Experiment) -> Pipeline:
    """Return the comparison of the readings: every net on a ball of ``nets`` and ``readings``.

    Args:
        experiment: its name.
        parameters: its parameters, with ``readings``.
    """
    names = parameters.nets_with("readings.nets")
    robust = tuple(
        name for name in names if parameters.all_nets[name][1].uncertainty_set.name != POINT
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
