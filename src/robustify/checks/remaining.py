"""What is left of a pipeline when nodes are passed over whose outputs lie there, as ``--only-missing-outputs`` asks."""

from __future__ import annotations

from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline


def without_what_exists(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> Pipeline:
    """Return the nodes of which an output isn't there, or is kept nowhere and another of them reads it.

    Kedro's runner finds the same out, but only once the hooks before the run are through.

    Args:
        pipeline: what was asked for.
        catalog: says what lies there.
    """
    kept: list[str] = []
    wanted: set[str] = set()
    for node in reversed(pipeline.nodes):
        absent = [output for output in node.outputs if not catalog.exists(output)]
        # what has no file is only needed by who reads it
        if not node.outputs or any(_is_kept(catalog, each) or each in wanted for each in absent):
            kept.append(node.name)
            wanted.update(node.inputs)
    return pipeline.filter(node_names=kept) if kept else Pipeline([])


def _is_kept(catalog: CatalogProtocol[Any, Any], name: str) -> bool:
    return name in catalog and not getattr(catalog.get(name), "_EPHEMERAL", False)
