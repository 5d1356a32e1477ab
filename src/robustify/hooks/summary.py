"""What a run prints at its end."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify.placement import HOME_SEED
from robustify.tracking.nets import reporting_folder


class Summary:
    """Ends a run by printing each experiment's table and where to look."""

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print the summary of every experiment whose report was written."""
        from robustify.reporting.report import (
            render_across_seeds,
            render_comparison,
            render_distances,
            render_readings,
            render_text,
            render_verification_text,
        )

        for node in pipeline.nodes:
            experiment = str(node.namespace)
            if f"{experiment}.full_verification_page" in node.outputs:
                found = {
                    name.split(".")[1]: catalog.load(name)
                    for name in node.inputs
                    if name.endswith(".full_verification")
                }
                print(render_verification_text(found, folder=_folder(catalog, experiment)))  # noqa: T201
            if "reporting" in node.tags and f"{experiment}.report" in node.outputs:
                results = catalog.load(f"{experiment}.results")
                table = catalog.load(f"{experiment}.table")
                print(render_text(results, table, folder=_folder(catalog, experiment)))  # noqa: T201
            if "objectives" in node.tags and f"{experiment}.objectives" in node.outputs:
                table = catalog.load(f"{experiment}.objectives")
                folder = _folder(catalog, experiment)
                print(render_comparison(experiment, table, folder=folder))  # noqa: T201
            if f"{experiment}.readings" in node.outputs:
                table = catalog.load(f"{experiment}.readings")
                print(render_readings(experiment, table, folder=_folder(catalog, experiment)))  # noqa: T201
            if f"{experiment}.distances" in node.outputs:
                table = catalog.load(f"{experiment}.distances")
                print(render_distances(experiment, table, folder=_folder(catalog, experiment)))  # noqa: T201
            if f"{experiment}.across_seeds" in node.outputs:
                summary = catalog.load(f"{experiment}.across_seeds")
                folder = _folder(catalog, experiment, HOME_SEED)
                print(render_across_seeds(experiment, summary, folder=folder))  # noqa: T201


def _folder(catalog: CatalogProtocol[Any, Any], experiment: str, seed: int | None = None) -> str:
    parameters = catalog.load("parameters")[experiment]
    return str(
        reporting_folder(experiment, parameters if seed is None else {**parameters, "seed": seed})
    )
