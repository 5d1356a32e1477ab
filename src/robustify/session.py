"""A Kedro session that says in one line what there is not to be run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir
from traceback import walk_tb
from typing import Any

from click import ClickException
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import DatasetError

from robustify.checks.tags import unknown_tags

_CHOOSING = ("kedro.framework.session.session", "kedro.pipeline.pipeline")
_CATALOG = ("kedro.io.core", "kedro.io.data_catalog", "kedro.io.catalog_config_resolver")
_RUNNING = "kedro.runner"


class OneLineSession(KedroSession):
    """Shows a misspelt pipeline, node, tag or namespace as one line instead of a traceback."""

    def run(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Run what was chosen; see :meth:`kedro.framework.session.KedroSession.run`.

        Raises:
            ClickException: if there is no such pipeline, node, tag or namespace, or a data set can't be made as the catalog
                says.
        """
        try:
            # the paths of data are relative to the project, from whichever of its folders it is run
            with chdir(self._project_path):
                return super().run(*arguments, **options)
        except (DatasetError, KeyError) as error:
            if not _is_of_the_catalog(error):
                raise
            what = " ".join(str(error.args[0] if error.args else error).split())
            raise ClickException(f"configuration of 'catalog': {what}") from error
        except ValueError as error:
            if not _is_of_the_choice(error):
                raise
            what = _unknown_tags(options) or " ".join(str(error).split())
            raise ClickException(
                f"{what} ('kedro registry list' tells the pipelines, 'kedro registry describe NAME' one's nodes)"
            ) from error


def _unknown_tags(options: Mapping[str, Any]) -> str | None:
    named = options.get("pipeline_names") or [options.get("pipeline_name") or "__default__"]
    chosen = [pipelines[name] for name in named if name in pipelines]
    return unknown_tags(options.get("tags") or (), among=chosen, of=chosen) if chosen else None


def _is_of_the_choice(error: ValueError) -> bool:
    """Return whether Kedro raised it while it looked for what to run, not what it ran."""
    return _raised_by(error, _CHOOSING)


def _is_of_the_catalog(error: Exception) -> bool:
    """Return whether Kedro raised it while it made data sets, not while it loaded or saved them."""
    return _raised_by(error, _CATALOG)


def _raised_by(error: Exception, places: tuple[str, ...]) -> bool:
    modules = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    running = any(module.startswith(_RUNNING) for module in modules)
    return modules[-1] in places and not running
