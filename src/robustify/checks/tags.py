"""Whether there are nodes of the tags that a run asks for."""

from __future__ import annotations

from collections.abc import Iterable

from kedro.pipeline import Pipeline

from robustify.checks.spelling import did_you_mean


def unknown_tags(
    asked: Iterable[str], *, among: Iterable[Pipeline], of: Iterable[Pipeline]
) -> str | None:
    """Return a complaint that names tags no node has, and those that there are; nothing if each has some.

    Args:
        asked: tags of a run.
        among: pipelines that should have them.
        of: pipelines whose tags are told.
    """
    unmatched = sorted(set(asked) - _tags_of(among))
    if not unmatched:
        return None
    known = sorted(_tags_of(of))
    said = [f"{tag!r}{did_you_mean(tag, known)}" for tag in unmatched]
    return f"no node chosen has the tag {'; nor '.join(said)}; tags are {', '.join(known)}"


def _tags_of(pipelines: Iterable[Pipeline]) -> set[str]:
    return {tag for pipeline in pipelines for node in pipeline.nodes for tag in node.tags}
