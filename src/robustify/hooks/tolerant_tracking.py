"""A tracking server that is away at the start stops the run in seconds; one that goes later stops nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator
from urllib.parse import urlsplit

from click import ClickException
from kedro.framework.hooks import hook_impl

logger = logging.getLogger(__name__)

SECONDS = 5.0


class TolerantTracking:
    """Stands around every hook of a running pipeline and keeps MLflow's failures from ending it."""

    def __init__(self) -> None:
        self._warned = False

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Refuse to start without the tracking server."""
        uri = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
        if uri.scheme not in ("http", "https") or uri.hostname is None:
            return
        port = uri.port or (443 if uri.scheme == "https" else 80)
        try:
            socket.create_connection((uri.hostname, port), timeout=SECONDS).close()
        except OSError as error:
            raise ClickException(
                f"MLFLOW_TRACKING_URI is {uri.geturl()}, which doesn't answer ({error}); start that server, or "
                f"unset the variable to keep the runs in mlflow.db"
            ) from error

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
                reason = str(error).splitlines()[0][:200]
                logger.warning("MLflow doesn't take what it is told; the run goes on (%s)", reason)
            self._warned = True
            return []
