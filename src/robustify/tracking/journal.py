"""What MLflow is to be told of a run, kept on disk as long as MLflow doesn't take it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.tracking.credentials import without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

FILE = "unsent_metrics.jsonl"
# to ask again would change nothing: the run is gone, or the value isn't one
REFUSALS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# a server that hangs costs its timeout at every attempt, so it is left alone for a while
SLOW_SECONDS, PAUSE_SECONDS = 5.0, 120.0

# when each tracking server may be asked again, by its address
_asked_again: dict[str, float] = {}
# ids of the nets' runs that were found or made, by server, parent and name: to look one up takes longer than to write to it
_opened: dict[tuple[str, str, str], str] = {}


@dataclass(frozen=True)
class NetRun:
    """A net's MLflow run, described so that it can be found again or made when MLflow is back.

    Attributes:
        parent: id of the pipeline's run.
        name: experiment and net, e.g. ``mnist.l2``.
        tags: what to find it by.
        parameters: what the net was trained with.
    """

    parent: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)

    def open(self) -> str:
        """Return the id of the net's run under its parent, made if it isn't there.

        Raises:
            MlflowException: if MLflow doesn't answer.
        """
        key = (_tracking_uri(), self.parent, self.name)
        if key not in _opened:
            _opened[key] = self._find_or_make()
        return _opened[key]

    def _find_or_make(self) -> str:
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.tracking.context.registry import resolve_tags
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

        client = MlflowClient()
        experiment = client.get_run(self.parent).info.experiment_id
        found = client.search_runs(
            [experiment],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.parent}' and attributes.run_name = '{self.name}'",
            max_results=1,
        )
        if found:
            run = found[0]
        else:
            tags = resolve_tags({**self.tags, MLFLOW_PARENT_RUN_ID: self.parent})
            run = client.create_run(experiment, run_name=self.name, tags=tags)
        # MLflow may have failed between the run and its parameters
        if not run.data.params:
            parameters = [Param(name, str(value)[:6000]) for name, value in self.parameters.items()]
            client.log_batch(run.info.run_id, params=parameters)
        return str(run.info.run_id)


# what MLflow's databases hold
_Whole = Annotated[int, Field(ge=0, lt=2**63)]


class _Id(TypedDict):
    id: str


class _Description(TypedDict):
    parent: str
    name: str
    tags: dict[str, str]
    parameters: dict[str, Any]


class _Entry(TypedDict):
    """What waits, as a line of the file has it."""

    tracking_uri: str
    run: _Description | _Id
    metrics: dict[str, float]
    step: _Whole
    timestamp: _Whole
    status: Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"] | None


class Journal:
    """Hands entries to MLflow in order; what it doesn't take waits in a file for the next attempt.

    Args:
        folder: where the file with unsent entries lies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def record(
        self,
        run: NetRun | str,
        metrics: Mapping[str, float],
        *,
        step: int = 0,
        status: str | None = None,
    ) -> None:
        """Tell MLflow, or keep it until MLflow can be told.

        Args:
            run: the net's run, or the id of any.
            metrics: values by name.
            step: of the metrics. A value that the run has at that step already isn't told twice; another one becomes the latest.
            status: the run's final status, if this is its end.
        """
        entry = {
            "tracking_uri": _tracking_uri(),
            "run": asdict(run) if isinstance(run, NetRun) else {"id": run},
            "metrics": dict(metrics),
            "step": step,
            "timestamp": int(time.time() * 1000),
            "status": status,
        }
        self._deliver([*self._waiting(), entry])

    def deliver(self) -> None:
        """Try again to tell MLflow what waits."""
        waiting = self._waiting()
        if waiting:
            self._deliver(waiting)

    def _deliver(self, entries: list[dict[str, Any]]) -> None:
        from mlflow.exceptions import MlflowException

        # entries of another server wait until runs are tracked there again
        kept = [entry for entry in entries if entry["tracking_uri"] != _tracking_uri()]
        due = [entry for entry in entries if entry["tracking_uri"] == _tracking_uri()]
        looked_up = False
        while due and monotonic() >= _asked_again.get(_tracking_uri(), 0.0):
            started = monotonic()
            try:
                _send(due[0])
            except MlflowException as error:
                if _opened and not looked_up and error.error_code in REFUSALS:
                    # somebody may have deleted a run that was there
                    _opened.clear()
                    looked_up = True
                    continue
                if error.error_code not in REFUSALS:
                    logger.warning("MLflow doesn't answer; metrics wait in %s", self._path)
                    if monotonic() - started > SLOW_SECONDS:
                        _asked_again[_tracking_uri()] = monotonic() + PAUSE_SECONDS
                    break
                logger.warning("MLflow refuses metrics, which are dropped: %s", error)
            due.pop(0)
            looked_up = False
        self._keep(kept + due)

    def _waiting(self) -> list[dict[str, Any]]:
        try:
            lines = self._path.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            logger.warning("%s can't be read: %s", self._path, error.strerror)
            return []
        entries, damaged = [], []
        for line in lines:
            try:
                entries.append(_read(line))
            except (ValueError, RecursionError):
                damaged.append(line)
        if damaged:
            self._put_aside(damaged)
            self._keep(entries)
        return entries

    def _put_aside(self, lines: list[str]) -> None:
        aside = self._path.with_suffix(".unreadable")
        logger.warning(
            "%s isn't readable in %d lines; they go to %s", self._path, len(lines), aside
        )
        try:
            with aside.open("a") as file:
                file.write("".join(f"{line}\n" for line in lines))
        except OSError as error:
            logger.warning("%s can't be written: %s; they are dropped", aside, error.strerror)

    def _keep(self, entries: list[dict[str, Any]]) -> None:
        try:
            if not entries:
                self._path.unlink(missing_ok=True)
                return
            with replacing(self._path) as temporary:
                temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        except (InputError, OSError) as error:
            # the checkpoint has them, too: the next run tells MLflow
            logger.warning("%s", error)


_ENTRIES = TypeAdapter(with_config(ConfigDict(extra="forbid", strict=True))(_Entry))


def _read(line: str) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(line)
    _ENTRIES.validate_python(entry)
    return entry


def _send(entry: Mapping[str, Any]) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    client = MlflowClient()
    about = entry["run"]
    run_id = about["id"] if "id" in about else NetRun(**about).open()
    # most are new to the run, which one question tells of all of them
    there = client.get_run(run_id).data.metrics if entry["metrics"] else {}
    fresh = [
        Metric(name, value, entry["timestamp"], entry["step"])
        for name, value in entry["metrics"].items()
        if name not in there or value != _latest(client, run_id, name, entry["step"])
    ]
    if fresh:
        client.log_batch(run_id, metrics=fresh)
    if entry["status"]:
        client.set_terminated(run_id, entry["status"])


def _latest(client: MlflowClient, run_id: str, name: str, step: int) -> float | None:
    """Return a metric's latest value at a step, or None if it has none there."""
    history = client.get_metric_history(run_id, name)
    at_step = [metric for metric in history if metric.step == step]
    return max(at_step, key=attrgetter("timestamp")).value if at_step else None


def _tracking_uri() -> str:
    import mlflow

    # it is written down, and tells one server from another without its password
    return without_credentials(str(mlflow.get_tracking_uri()))
