"""A tag that selects nothing is refused."""

from __future__ import annotations

from typing import Any

from click import ClickException
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline

from robustify.checks.spelling import did_you_mean


class KnownTags:
    """Refuses tags that no chosen node has: beside others Kedro passes over a misspelt one, and nothing is run for it."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Name the tags in one line, and those that there are, before any work starts."""
        unmatched = sorted(set(run_params.get("tags") or ()) - _tags_of(pipeline))
        if unmatched:
            names = run_params.get("pipeline_names") or ["__default__"]
            known = sorted(set().union(*(_tags_of(pipelines[name]) for name in names)))
            said = [f"{tag!r}{did_you_mean(tag, known)}" for tag in unmatched]
            raise ClickException(
                f"no node chosen has the tag {'; nor '.join(said)}; tags are {', '.join(known)}"
            )


def _tags_of(pipeline: Pipeline) -> set[str]:
    return {tag for node in pipeline.nodes for tag in node.tags}
