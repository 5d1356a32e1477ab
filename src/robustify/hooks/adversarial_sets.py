"""An adversarial set that would come out empty stops the run before robust nets are trained, not after."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from robustify.configuration import BASELINE

ATTACK, TRAINING = "attack", "training"


class AdversarialSets:
    """Looks for the first adversarial example as soon as there is a baseline.

    The set depends on the baseline alone, but nothing that is trained depends on the set: as an edge of the graph this order
    would train nets again whenever the set changes.
    """

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._baselines_to_come: set[str] = set()

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Note which experiments make a set, and which of them train its baseline first."""
        names = {node.name for node in pipeline.nodes}
        self._waiting = {
            name.removesuffix(f".{ATTACK}") for name in names if name.endswith(f".{ATTACK}")
        }
        self._baselines_to_come = {
            experiment for experiment in self._waiting if _baseline_of(experiment) in names
        }

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Look, before the first training after the baseline's."""
        experiment = str(node.namespace).partition(".")[0]
        ready = experiment in self._waiting - self._baselines_to_come
        if not ready or TRAINING not in node.tags or node.name == _baseline_of(experiment):
            return
        from robustify.pipelines.adversarial_set.nodes import require_examples

        self._waiting.remove(experiment)
        parts = (f"{BASELINE}.model", "test_data", "params:adversarial_set", "params:device")
        require_examples(*(_load(catalog, experiment, part) for part in parts))

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Note a baseline that is trained."""
        self._baselines_to_come -= {
            experiment
            for experiment in self._baselines_to_come
            if node.name == _baseline_of(experiment)
        }


def _baseline_of(experiment: str) -> str:
    return f"{experiment}.{BASELINE}.train"


def _load(catalog: DataCatalog, experiment: str, part: str) -> Any:
    kind, _, name = part.rpartition(":")
    return catalog.load(f"{kind}:{experiment}.{name}" if kind else f"{experiment}.{name}")
