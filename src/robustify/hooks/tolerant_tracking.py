"""A tracking store that takes nothing at the start stops the run in seconds; one that fails later stops nothing."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryFile
from traceback import walk_tb
from urllib.parse import urlsplit

from click import ClickException
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from pydantic import ValidationError

from robustify.errors import InputError
from robustify.tracking.credentials import without_credentials
from robustify.tracking.run_store import file_of, make_tables

logger = logging.getLogger(__name__)

SECONDS = 5.0


class TolerantTracking:
    """Stands around every hook of a running pipeline and keeps MLflow's failures from ending it."""

    def __init__(self) -> None:
        self._warned = False

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self, context: KedroContext) -> Generator[None, object, object]:
        """Refuse to start without the tracking server, or without room in the store."""
        _heed_configuration(context)
        try:
            _check_server()
            _check_file()
        except (ValueError, OSError) as error:
            raise ClickException(
                f"MLflow's store is {_store()}, which can't be ({_reason(error)}); name another one by "
                f"MLFLOW_TRACKING_URI, or none, to keep the runs in mlflow.db"
            ) from error
        with _refusal():
            _make_tables()
            return (yield)

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self) -> Generator[None, object, object]:
        """Refuse to start a run that the store doesn't take."""
        with _refusal():
            return (yield)

    @hook_impl(wrapper=True, tryfirst=True)
    def before_node_run(self) -> Generator[None, object, object]:
        return (yield from self._tolerating())

    @hook_impl(wrapper=True, tryfirst=True)
    def after_node_run(self) -> Generator[None, object, object]:
        return (yield from self._tolerating())

    @hook_impl(wrapper=True, tryfirst=True)
    def after_dataset_saved(self) -> Generator[None, object, object]:
        return (yield from self._tolerating())

    @hook_impl(wrapper=True, tryfirst=True)
    def after_pipeline_run(self) -> Generator[None, object, object]:
        return (yield from self._tolerating())

    @hook_impl(wrapper=True, tryfirst=True)
    def on_node_error(self) -> Generator[None, object, object]:
        return (yield from self._tolerating())

    def _tolerating(self) -> Generator[None, object, object]:
        from mlflow.exceptions import MlflowException

        try:
            return (yield)
        except MlflowException as error:
            if not self._warned:
                logger.warning(
                    "MLflow doesn't take what it is told; the run goes on (%s)", _reason(error)
                )
            self._warned = True
            return []


@contextmanager
def _refusal() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        # kedro-mlflow's own schema
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise ClickException(f"configuration of 'mlflow': {problems}") from error
    except Exception as error:
        if not _is_of_mlflow(error):
            raise
        raise _takes_nothing(error) from error


def _takes_nothing(error: BaseException) -> ClickException:
    return ClickException(
        f"MLflow's store {_store()} takes nothing ({_reason(error)}); "
        f"mend that, or name another one by MLFLOW_TRACKING_URI"
    )


def _heed_configuration(context: KedroContext) -> None:
    """Let the address that mlflow.yml may give stand in the environment, where everyone looks for it."""
    try:
        server = context.config_loader["mlflow"].get("server")
    except MissingConfigException:
        return
    address = server.get("mlflow_tracking_uri") if isinstance(server, Mapping) else None
    # a folder's name is made a whole path later, by kedro-mlflow
    if isinstance(address, str) and "://" in address:
        os.environ["MLFLOW_TRACKING_URI"] = address


def _check_server() -> None:
    uri = urlsplit(_uri())
    if uri.scheme not in ("http", "https") or uri.hostname is None:
        return
    import requests

    try:
        # whatever it says, it answers; certificates are MLflow's affair
        with suppress(requests.exceptions.SSLError):
            requests.get(f"{uri.geturl().rstrip('/')}/health", timeout=SECONDS, stream=True).close()
    except requests.RequestException as error:
        slow = isinstance(error, requests.Timeout)
        reason = f"nothing within {SECONDS:.0f} seconds" if slow else "no connection"
        place = f"{uri.scheme}://{uri.netloc.rpartition('@')[2]}"
        raise ClickException(
            f"MLflow's server is {place}, which doesn't answer ({reason}); start that server, or "
            f"name none by MLFLOW_TRACKING_URI, to keep the runs in mlflow.db"
        ) from error


def _check_file() -> None:
    """Refuse a database file that can't be written: MLflow would try for minutes."""
    path = file_of(_uri())
    if path is None:
        return
    if path.is_dir():
        raise ClickException(
            f"MLflow's store {_uri()} takes nothing ({path} is a folder); name a file by MLFLOW_TRACKING_URI"
        )
    folder = next(parent for parent in path.parents if parent.exists())
    for place in (path, folder):
        if place.exists() and not _writable(place):
            raise ClickException(
                f"MLflow's store {_uri()} takes nothing ({place} can't be written); make it writable, "
                f"or name another one by MLFLOW_TRACKING_URI"
            )


def _writable(place: Path) -> bool:
    if not os.access(place, os.W_OK):
        return False
    # root is told that it may write where no file can be made
    try:
        with TemporaryFile(dir=place) if place.is_dir() else nullcontext():
            return True
    except OSError as error:
        # what a full disk makes of it is told once its store is asked
        return error.errno == errno.ENOSPC


def _make_tables() -> None:
    path = file_of(_uri())
    try:
        if path is not None:
            make_tables(path)
    except InputError as error:
        raise _takes_nothing(error) from error


def _is_of_mlflow(error: BaseException) -> bool:
    """Return whether an error is MLflow's or was raised somewhere inside it: a driver it lacks, a folder it can't make."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # MLflow lets its database speak for itself while it makes the tables
    if isinstance(error, MlflowException | SQLAlchemyError):
        return True
    frames = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(name.partition(".")[0] == "mlflow" for name in frames)


def _store() -> str:
    """Return where MLflow keeps its runs, without user and password."""
    return without_credentials(_uri())


def _uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def _reason(error: BaseException) -> str:
    # the first cause says it in a line; what MLflow and its database put around it doesn't
    while error.__cause__ is not None:
        error = error.__cause__
    return without_credentials(str(error).partition("\n")[0])[:200]
