"""Wiring of the ingestion pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from robustify.pipelines.ingestion.nodes import ingest


def create_pipeline(experiment: str) -> Pipeline:
    """Return the ingestion of one experiment's data."""
    return Pipeline(
        [
            Node(ingest, "params:data", ["training_data", "test_data"], name="ingest"),
        ],
        namespace=experiment,
        parameters={"params:data": f"params:{experiment}.data"},
        tags=[experiment, "ingestion"],
    )
