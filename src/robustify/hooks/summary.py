"""What a run prints at its end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from robustify.placement import HOME_SEED
from robustify.tracking.nets import reporting_folder


class Summary:
    """Ends a run by printing each experiment's tables and where to look."""

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print what every experiment's last nodes made."""
        for node in pipeline.nodes:
            for text in _texts(node, catalog):
                print(text)  # noqa: T201


def _texts(node: Node, catalog: CatalogProtocol[Any, Any]) -> Iterator[str]:
    """Yield what there is to say of a node's outputs."""
    from robustify.reporting import terminal

    experiment = str(node.namespace)
    # these are tables of one experiment, and what they are called
    alone = {
        "objectives": terminal.objectives_text,
        "readings": terminal.readings_text,
        "distances": terminal.distances_text,
    }
    for output in node.outputs:
        kind = output.removeprefix(f"{experiment}.")
        # nets and seeds have a namespace of their own, which is no experiment
        folder = partial(_folder, catalog, experiment)
        if kind == "full_verification_page":
            yield terminal.verification_text(_verifications(node, catalog), folder=folder())
        elif kind == "report":
            results, table = (catalog.load(f"{experiment}.{part}") for part in ("results", "table"))
            yield terminal.experiment_text(results, table, folder=folder())
        elif kind == "across_seeds":
            home = folder(seed=HOME_SEED)
            yield terminal.across_seeds_text(experiment, catalog.load(output), folder=home)
        elif kind in alone:
            yield alone[kind](experiment, catalog.load(output), folder=folder())


def _verifications(node: Node, catalog: CatalogProtocol[Any, Any]) -> dict[str, Any]:
    return {
        name.split(".")[1]: catalog.load(name)
        for name in node.inputs
        if name.endswith(".full_verification")
    }


def _folder(catalog: CatalogProtocol[Any, Any], experiment: str, seed: int | None = None) -> str:
    parameters = catalog.load("parameters")[experiment]
    return str(
        reporting_folder(experiment, parameters if seed is None else {**parameters, "seed": seed})
    )
