"""Wiring of the pipeline of smallest perturbations."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.pipelines.smallest_perturbations.nodes import compare_distances, perturb

PERTURBATIONS = "smallest_perturbations"


def create_pipeline(experiment: str, nets: tuple[str, ...]) -> Pipeline:
    """Return Szegedy's attack on an experiment's stored nets, and the comparison of what it found.

    Args:
        experiment: its name.
        nets: names of the nets.
    """
    return sum((_attack(experiment, net) for net in nets), _comparison(experiment, nets))


def _attack(experiment: str, net: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                perturb,
                ["model", "test_data", f"params:{PERTURBATIONS}", "params:device"],
                PERTURBATIONS,
                name="perturb",
            ),
        ],
        namespace=f"{experiment}.{net}_{PERTURBATIONS}",
        inputs={"model": f"{experiment}.{net}.model", "test_data": f"{experiment}.test_data"},
        outputs={PERTURBATIONS: f"{experiment}.{net}.{PERTURBATIONS}"},
        parameters={
            f"params:{key}": f"params:{experiment}.{key}" for key in (PERTURBATIONS, "device")
        },
        tags=[experiment, net, PERTURBATIONS],
    )


def _comparison(experiment: str, nets: tuple[str, ...]) -> Pipeline:
    found = {f"{net}_found": f"{experiment}.{net}.{PERTURBATIONS}" for net in nets}
    shared = ("classes", "title", "environment")
    return Pipeline(
        [
            Node(
                update_wrapper(partial(compare_distances, nets=nets), compare_distances),
                ["test_data", *(f"params:{key}" for key in shared), *found],
                ["distances", "distances_figures"],
                name="compare_distances",
            ),
        ],
        namespace=experiment,
        inputs=found,
        parameters={f"params:{key}": f"params:{experiment}.{key}" for key in shared},
        tags=[experiment, PERTURBATIONS],
    )
