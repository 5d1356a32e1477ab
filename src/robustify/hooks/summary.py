"""What a run prints at its end."""

from __future__ import annotations

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify.tracking import REPORTING


class Summary:
    """Ends a run by printing each experiment's table and where to look."""

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print the summary of every experiment whose report was written."""
        from robustify.report import (
            render_comparison,
            render_text,
            render_verification_text,
        )

        for node in pipeline.nodes:
            if f"{node.namespace}.full_verification_page" in node.outputs:
                found = {
                    name.split(".")[1]: catalog.load(name)
                    for name in node.inputs
                    if name.endswith(".full_verification")
                }
                print(render_verification_text(found, folder=str(REPORTING / str(node.namespace))))  # noqa: T201
            if "reporting" in node.tags and f"{node.namespace}.report" in node.outputs:
                results = catalog.load(f"{node.namespace}.results")
                table = catalog.load(f"{node.namespace}.table")
                print(render_text(results, table, folder=str(REPORTING / str(node.namespace))))  # noqa: T201
            if "objectives" in node.tags and f"{node.namespace}.objectives" in node.outputs:
                table = catalog.load(f"{node.namespace}.objectives")
                folder = str(REPORTING / str(node.namespace))
                print(render_comparison(str(node.namespace), table, folder=folder))  # noqa: T201
