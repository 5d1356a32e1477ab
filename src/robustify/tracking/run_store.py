"""MLflow's database as a file that is whole or not there.

Usage: python -m robustify.tracking.run_store (where ``MLFLOW_TRACKING_URI`` names it; a run makes it by itself)
"""

from __future__ import annotations

import os
from pathlib import Path

from filelock import FileLock, Timeout

from robustify.errors import InputError
from robustify.files.atomic import replacing, unfinished

_SQLITE = "sqlite:///"
# in seconds; the tables take ten at most
_PATIENCE = 120.0


def file_of(uri: str) -> Path | None:
    """Return the file that a tracking URI names, if it names one of SQLite's."""
    name = uri.removeprefix(_SQLITE).partition("?")[0]
    if not uri.startswith(_SQLITE) or name in ("", ":memory:"):
        return None
    return Path(name).absolute()


def make_tables(path: Path) -> None:
    """Let MLflow make its tables in a file that isn't there yet.

    They are made by dozens of migrations, and a process that is killed among them leaves a file with which MLflow never
    starts again.

    Args:
        path: of the database; a file that is there is left alone, and what a killed process left beside it is removed.

    Raises:
        InputError: if the file system refuses to write.
        MlflowException: if MLflow can't make them.
    """
    if path.exists() and not any(left.exists() for left in _begun(path)):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # two experiments may start at once, and a second one must not begin what the first has half done
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_PATIENCE):
            for left in _begun(path):
                left.unlink(missing_ok=True)
            # MLflow's own page may have made them since a process was killed
            if not path.exists():
                with replacing(path) as temporary:
                    _make(temporary)
    except Timeout as error:
        raise InputError(
            f"{path} couldn't be made: another process has been at it for {_PATIENCE:.0f} seconds"
        ) from error
    except OSError as error:
        raise InputError(f"{path} couldn't be made: {error.strerror}") from error


def _begun(path: Path) -> tuple[Path, Path]:
    """Return the file in which the tables are made, and SQLite's journal of it."""
    temporary = unfinished(path)
    return temporary, temporary.with_name(f"{temporary.name}-journal")


def _make(path: Path) -> None:
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(  # type: ignore[no-untyped-call]
        f"{_SQLITE}{path.as_posix()}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    )
    store.engine.dispose()


if __name__ == "__main__":
    store = file_of(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if store is not None:
        make_tables(store)
