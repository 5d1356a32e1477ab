"""Wiring of the reporting pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.pipelines.reporting.nodes import gather_results, write_report


def create_pipeline(experiment: str, nets: tuple[str, ...], *, verified: bool = False) -> Pipeline:
    """Return the report of one experiment over its nets.

    Args:
        experiment: its name.
        nets: names of the nets.
        verified: whether the nets have a brief verification to report.
    """
    datasets = ("evaluation", "learning_curve", *(["verification"] if verified else []))
    measured = {
        f"{net}_{dataset}": f"{experiment}.{net}.{dataset}" for dataset in datasets for net in nets
    }
    tables = ["table", "epsilon_sweep", "learning_curves"]
    return Pipeline(
        [
            Node(
                update_wrapper(
                    partial(gather_results, experiment=experiment, nets=nets), gather_results
                ),
                [
                    "adversarial_set",
                    "attack_time",
                    "params:paper",
                    "params:seed",
                    "params:device",
                    *measured,
                ],
                ["results", *tables, *(["verification_table"] if verified else [])],
                name="gather",
            ),
            Node(
                write_report,
                [
                    "results",
                    *tables,
                    "adversarial_set",
                    "test_data",
                    "params:settings",
                ],
                ["report", "figures"],
                name="report",
            ),
        ],
        namespace=experiment,
        inputs=measured,
        parameters={
            **{f"params:{key}": f"params:{experiment}.{key}" for key in _PARAMETERS},
            "params:settings": f"params:{experiment}",
        },
        tags=[experiment, "reporting"],
    )


_PARAMETERS = ("paper", "seed", "device")
