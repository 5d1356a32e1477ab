"""Which experiments a pipeline is about."""

from __future__ import annotations

from kedro.pipeline import Pipeline


def experiments_in(pipeline: Pipeline) -> list[str]:
    """Return the names of the experiments whose nodes the pipeline has, sorted."""
    return sorted({str(node.namespace).partition(".")[0] for node in pipeline.nodes})
