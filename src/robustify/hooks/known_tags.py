"""A tag that selects nothing is refused."""

from __future__ import annotations

from typing import Any

from click import ClickException
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline

from robustify.checks.tags import unknown_tags


class KnownTags:
    """Refuses tags that no chosen node has: beside others Kedro passes over a misspelt one, and nothing is run for it."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Name the tags in one line, and those that there are, before any work starts."""
        named = run_params.get("pipeline_names") or ["__default__"]
        complaint = unknown_tags(
            run_params.get("tags") or (), among=[pipeline], of=[pipelines[name] for name in named]
        )
        if complaint:
            raise ClickException(complaint)
