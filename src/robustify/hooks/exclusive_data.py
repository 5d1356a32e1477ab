"""One run at a time on an experiment's data."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

from click import ClickException
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from robustify.errors import InputError
from robustify.files.exclusive import exclusive
from robustify.hooks.experiments import experiments_in


class ExclusiveData:
    """Holds a lock on every experiment of the run."""

    def __init__(self) -> None:
        self._held = ExitStack()

    @hook_impl(wrapper=True, tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> Generator[None, object, object]:
        """Lock the experiments' data before any other hook touches them, or say in one line who is at work on them."""
        try:
            self._held.enter_context(exclusive(experiments_in(pipeline)))
        except InputError as error:
            raise ClickException(str(error)) from error
        try:
            return (yield)
        except BaseException:
            self.free()
            raise

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Free the data."""
        self.free()

    @hook_impl(tryfirst=True)
    def on_pipeline_error(self) -> None:
        """Free the data."""
        self.free()

    def free(self) -> None:
        """Let other runs at the data."""
        self._held.close()
