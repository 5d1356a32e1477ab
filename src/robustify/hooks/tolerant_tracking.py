"""A tracking store that takes nothing at the start stops the run in seconds; one that fails later stops nothing."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from traceback import walk_tb

from click import ClickException
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from pydantic import ValidationError

from robustify.errors import InputError
from robustify.tracking.store import Store, first_cause

logger = logging.getLogger(__name__)


class TolerantTracking:
    """Stands around every hook of a running pipeline and keeps MLflow's failures from ending it."""

    def __init__(self) -> None:
        self._warned = False
        self._store = Store.configured(None)

    @hook_impl(wrapper=True, tryfirst=True)
    def after_context_created(self, context: KedroContext) -> Generator[None, object, object]:
        """Refuse to start without the tracking server, or without room in the store."""
        self._store = Store.configured(_address_in_configuration(context))
        with _refusal(self._store):
            self._store.require_usable()
            self._store.make_tables()
            return (yield)

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self) -> Generator[None, object, object]:
        """Refuse to start a run that the store doesn't take."""
        with _refusal(self._store):
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
                    "MLflow doesn't take what it is told; the run goes on (%s)", first_cause(error)
                )
            self._warned = True
            return []


@contextmanager
def _refusal(store: Store) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        # kedro-mlflow's own schema
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise ClickException(f"configuration of 'mlflow': {problems}") from error
    except InputError as error:
        raise ClickException(str(error)) from error
    except Exception as error:
        if not _is_of_mlflow(error):
            raise
        raise ClickException(str(store.refusal(error))) from error


def _address_in_configuration(context: KedroContext) -> object:
    try:
        server = context.config_loader["mlflow"].get("server")
    except MissingConfigException:
        return None
    return server.get("mlflow_tracking_uri") if isinstance(server, Mapping) else None


def _is_of_mlflow(error: BaseException) -> bool:
    """Return whether an error is MLflow's or was raised somewhere inside it: a driver it lacks, a folder it can't make."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # MLflow lets its database speak for itself while it makes the tables
    if isinstance(error, MlflowException | SQLAlchemyError):
        return True
    frames = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    return any(name.partition(".")[0] == "mlflow" for name in frames)
