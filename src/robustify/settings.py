"""Kedro's settings of the project."""

from __future__ import annotations

import os
from pathlib import Path

# before any plugin is imported: no telemetry, and a store that doesn't follow the working directory
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# a tracking server that goes away must cost a training seconds, not the minutes of MLflow's defaults
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
if not os.environ.get("MLFLOW_TRACKING_URI"):
    store = Path(__file__).parents[2] / "mlflow.db"
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store.as_posix()}"

from robustify.hooks import (
    AdversarialSets,
    CheckedParameters,
    CleanTermination,
    ExclusiveData,
    KnownTags,
    Memory,
    NetRuns,
    Summary,
    SupportedRunner,
    TolerantTracking,
)
from robustify.loader import CONFIG_LOADER_ARGS, ReadableConfigLoader
from robustify.session import OneLineSession

_exclusive = ExclusiveData()

HOOKS = (
    AdversarialSets(),
    CheckedParameters(),
    CleanTermination(ending=_exclusive.free),
    _exclusive,
    KnownTags(),
    Memory(),
    NetRuns(),
    Summary(),
    SupportedRunner(),
    TolerantTracking(),
)

SESSION_CLASS = OneLineSession

CONFIG_LOADER_CLASS = ReadableConfigLoader

__all__ = ["CONFIG_LOADER_ARGS", "CONFIG_LOADER_CLASS", "HOOKS", "SESSION_CLASS"]
