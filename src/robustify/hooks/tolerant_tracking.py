"""A tracking store that takes nothing at the start stops the run in seconds; one that fails later stops nothing."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Generator
from contextlib import suppress
from urllib.parse import urlsplit

from click import ClickException
from kedro.framework.hooks import hook_impl

logger = logging.getLogger(__name__)

SECONDS = 5.0


class TolerantTracking:
    """Stands around every hook of a running pipeline and keeps MLflow's failures from ending it."""

    def __init__(self) -> None:
        self._warned = False

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self) -> Generator[None, object, object]:
        """Refuse to start without the tracking server, or without room in the store."""
        _check_server()
        return (yield from self._refusing())

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self) -> Generator[None, object, object]:
        """Refuse to start a run that the store doesn't take."""
        return (yield from self._refusing())

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

    def _refusing(self) -> Generator[None, object, object]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return (yield)
        # MLflow lets its database speak for itself while it makes the tables
        except (MlflowException, SQLAlchemyError) as error:
            raise ClickException(
                f"MLflow's store {_store()} takes nothing ({_reason(error)}); "
                f"mend that, or name another one by MLFLOW_TRACKING_URI"
            ) from error

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


def _check_server() -> None:
    uri = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    if uri.scheme not in ("http", "https") or uri.hostname is None:
        return
    import requests

    try:
        # whatever it says, it answers; certificates are MLflow's affair
        with suppress(requests.exceptions.SSLError):
            requests.get(f"{uri.geturl().rstrip('/')}/health", timeout=SECONDS)
    except requests.RequestException as error:
        slow = isinstance(error, requests.Timeout)
        reason = f"nothing within {SECONDS:.0f} seconds" if slow else "no connection"
        place = f"{uri.scheme}://{uri.netloc.rpartition('@')[2]}"
        raise ClickException(
            f"MLFLOW_TRACKING_URI is {place}, which doesn't answer ({reason}); start that server, or "
            f"unset the variable to keep the runs in mlflow.db"
        ) from error


def _store() -> str:
    """Return where MLflow keeps its runs, without user and password."""
    return _without_credentials(os.environ.get("MLFLOW_TRACKING_URI", ""))


def _without_credentials(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]*@", "", text)


def _reason(error: BaseException) -> str:
    # the first cause says it in a line; what MLflow and its database put around it doesn't
    while error.__cause__ is not None:
        error = error.__cause__
    return _without_credentials(str(error).partition("\n")[0])[:200]
