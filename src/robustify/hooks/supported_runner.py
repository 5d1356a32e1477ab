"""Runners whose threads would train nets side by side in one process are refused."""

from __future__ import annotations

from typing import Any

from click import ClickException
from kedro.framework.hooks import hook_impl


class SupportedRunner:
    """Refuses the ThreadRunner: under it a seed wouldn't fix the nets, nor would Ctrl-C store them.

    Dropout and the layers' own initialisers draw from PyTorch's global generator, which all threads share, and signals
    reach the main thread only, which trains nothing there.
    """

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Refuse in one line, before any work starts."""
        if "ThreadRunner" in str(run_params.get("runner")):
            raise ClickException(
                "the ThreadRunner would share one random generator among nets in training and couldn't store them on "
                "Ctrl-C; leave --runner out"
            )
