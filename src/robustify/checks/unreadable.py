"""Whether what lies there can be read: a damaged file would else show when its turn comes, after hours perhaps."""

from __future__ import annotations

from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline

from robustify.checks.missing_inputs import PARAMETERS
from robustify.errors import InputError

_LONGEST = 500


def unreadable_inputs(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> list[str]:
    """Return a complaint for every stored input that can't be loaded; each is read in full and let go.

    Args:
        pipeline: what is to be run.
        catalog: says where data lie.
    """
    found = (
        _complaint(catalog, name)
        for name in sorted(pipeline.inputs())
        if not name.startswith(PARAMETERS) and catalog.exists(name)
    )
    return [complaint for complaint in found if complaint is not None]


def _complaint(catalog: CatalogProtocol[Any, Any], name: str) -> str | None:
    dataset = catalog.get(name)
    if dataset is None:
        return None
    try:
        dataset.load()
    except (DatasetError, InputError) as error:
        return reason_of(error)
    return None


def reason_of(error: BaseException) -> str | None:
    """Return in one line what the user can mend, be it the file that Kedro couldn't load; None of any other error.

    Args:
        error: that ended a node or the loading of a data set.
    """
    cause: BaseException | None = error
    while isinstance(cause, DatasetError):
        cause = cause.__cause__
    if isinstance(cause, InputError | FileNotFoundError):
        return str(cause)
    # the catalog puts the data set's name before it
    if isinstance(error, DatasetError) and "Failed while loading" in str(error):
        # a file that is whole isn't to be removed
        if isinstance(cause, MemoryError | PermissionError | ImportError):
            return " ".join(str(error).split())[:_LONGEST]
        return f"{' '.join(str(error).split())[:_LONGEST]}; remove that file, and make it again"
    return None
