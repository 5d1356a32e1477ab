"""Wiring of the tangents pipeline."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from robustify.pipelines.tangents.nodes import find_neighbours


def create_pipeline(experiment: str) -> Pipeline:
    """Return the search for the neighbours of one experiment's training images."""
    return Pipeline(
        [
            Node(
                find_neighbours,
                ["training_data", "params:tangent_planes"],
                "neighbours",
                name="find_neighbours",
            ),
        ],
        namespace=experiment,
        parameters={"params:tangent_planes": f"params:{experiment}.tangent_planes"},
        tags=[experiment, "tangents"],
    )
