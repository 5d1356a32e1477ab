"""One MLflow run a net under the pipeline's run: opened before its training, revisited by what measures it."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Generator
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from robustify.hooks.experiments import experiments_in
from robustify.tracking.journal import NetRun
from robustify.tracking.nets import reporting_folder

logger = logging.getLogger(__name__)

_REPORT_FILES = {
    "figures": "figures",
    "report": "report.html",
    "results": "results.json",
    "table": "table.csv",
    "verification_table": "verification.csv",
    "full_verification_table": "full_verification.csv",
    "full_verification_page": "full_verification.html",
    "full_verification_figures": "full_verification_figures",
}


class NetRuns:
    """Keeps MLflow's runs in step with the pipeline; a run that was killed is taken up again, not doubled."""

    def __init__(self) -> None:
        self._context: KedroContext | None = None
        self._parent: str | None = None
        self._run_key = ""
        self._open: dict[str, str] = {}
        self._saved: dict[str, set[str]] = {}

    @hook_impl(trylast=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Remember the context, which holds kedro-mlflow's configuration."""
        self._context = context

    @hook_impl(wrapper=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline
    ) -> Generator[None, object, object]:
        """Hand over what waits for MLflow, and let kedro-mlflow take up the same run if it was killed."""
        from robustify.tracking.nets import forget_runs, journal_of

        forget_runs()
        self._open.clear()
        self._saved.clear()
        for experiment in experiments_in(pipeline):
            journal_of(experiment).deliver()
        if self._context is not None:
            self._take_up(self._context, run_params, pipeline)
        result = yield
        self._note_parent()
        return result

    @hook_impl(wrapper=True)
    def after_pipeline_run(self, pipeline: Pipeline) -> Generator[None, object, object]:
        """See to it that the pipeline's run ends, be it later."""
        from mlflow.exceptions import MlflowException

        from robustify.tracking.nets import journal_of

        try:
            return (yield)
        except MlflowException:
            if self._parent is not None:
                title = experiments_in(pipeline)[0]
                journal_of(title).record(self._parent, {}, status="FINISHED")
            raise

    @hook_impl(wrapper=True)
    def before_node_run(
        self, node: Node, inputs: dict[str, Any]
    ) -> Generator[None, object, object]:
        """Open a net's run before its training, with its parameters and tags."""
        training = "training" in node.tags and self._parent is not None
        run = self._describe(node, inputs) if training else None
        result = yield
        if run is not None:
            import mlflow

            # kedro-mlflow has told the pipeline's run its parameters by now
            opened = mlflow.start_run(run_id=run.open(), nested=True, log_system_metrics=True)
            self._open[run.name] = opened.info.run_id
        return result

    @hook_impl(trylast=True)
    def after_node_run(self, node: Node, outputs: dict[str, Any]) -> None:
        """Add an evaluation or a verification to the run of its net."""
        if self._parent is None:
            return
        from robustify.tracking.nets import find_run, journal_of, run_of

        for name, measured in outputs.items():
            title, _, kind = name.rpartition(".")
            metrics = _metrics(kind, measured)
            run = run_of(title) or find_run(measured["weights_sha256"]) if metrics else None
            if run is not None:
                journal_of(title).record(run, metrics)

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Mark a net's run as failed when its training fails."""
        if "training" in node.tags:
            self._close(str(node.namespace), "FAILED")

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Log a net once it is stored and close its run; put the report's files into the runs."""
        if self._parent is None:
            return
        if "training" in node.tags:
            self._log_net(dataset_name, data)
            # with --async they are saved in any order
            saved = self._saved.setdefault(node.name, set())
            saved.add(dataset_name)
            if saved == set(node.outputs):
                self._close(str(node.namespace), "FINISHED")
        elif node.tags & {"reporting", "verification"}:
            self._log_report(dataset_name)

    def _take_up(
        self, context: KedroContext, run_params: dict[str, Any], pipeline: Pipeline
    ) -> None:
        from robustify.tracking.nets import find_unfinished

        tracking = context.mlflow.tracking  # type: ignore[attr-defined]
        self._run_key = _run_key(context, run_params, pipeline)
        if not (tracking.run.id or os.environ.get("MLFLOW_RUN_ID")):
            tracking.run.id = find_unfinished(self._run_key, tracking.experiment.name)

    def _note_parent(self) -> None:
        import mlflow

        from robustify.tracking.nets import RUN_KEY_TAG, git_commit

        active = mlflow.active_run()
        self._parent = active.info.run_id if active else None
        if active:
            mlflow.set_tags({"robustify.git_commit": git_commit(), RUN_KEY_TAG: self._run_key})

    def _describe(self, node: Node, inputs: dict[str, Any]) -> NetRun:
        from robustify.configuration import Net, architecture_of, objective_of, training_of
        from robustify.machine.devices import choose_device, describe
        from robustify.tracking.nets import flatten, git_commit, register_run

        experiment, net = str(node.namespace).split(".")
        parameters = {
            name.removeprefix("params:").removeprefix(f"{experiment}."): value
            for name, value in inputs.items()
            if name.startswith("params:")
        }
        member = parameters.pop(next(key for key in parameters if key.endswith(f"nets.{net}")))
        uncertainty_set = member["uncertainty_set"]
        own = Net(**member)
        effective = {
            "objective": objective_of(parameters["objective"], own),
            "net": architecture_of(parameters["net"], own),
            "training": training_of(parameters["training"], own),
        }
        run = NetRun(
            parent=str(self._parent),
            name=str(node.namespace),
            parameters=flatten({**parameters, **member, **effective}),
            tags={
                "robustify.experiment": experiment,
                "robustify.net": net,
                "robustify.norm": uncertainty_set["name"],
                "robustify.radius": str(uncertainty_set.get("radius", 0)),
                "robustify.device": describe(choose_device(parameters["device"])),
                "robustify.git_commit": git_commit(),
            },
        )
        register_run(run)
        return run

    def _close(self, title: str, status: str) -> None:
        import mlflow
        from mlflow.exceptions import MlflowException

        from robustify.tracking.nets import journal_of, run_of

        active, run = mlflow.active_run(), run_of(title)
        try:
            if active is not None and active.info.run_id == self._open.get(title):
                mlflow.end_run(status)
                return
        except MlflowException:
            logger.debug("%s's run couldn't be ended", title)
        if run is not None:
            journal_of(title).record(run, {}, status=status)

    def _log_net(self, dataset_name: str, data: Any) -> None:
        from mlflow.exceptions import MlflowException

        from robustify.tracking.nets import log_trained_net

        if not dataset_name.endswith(".model"):
            return
        if dataset_name.removesuffix(".model") not in self._open:
            logger.warning("%s isn't in MLflow, which didn't answer; it is stored", dataset_name)
            return
        try:
            log_trained_net(data)
        except (MlflowException, OSError) as error:
            reason = str(error).splitlines()[0]
            logger.warning("%s wasn't logged to MLflow: %s", dataset_name, reason)
        except Exception:
            # the net is stored; that MLflow couldn't take a copy mustn't end the experiment
            logger.warning("%s wasn't logged to MLflow", dataset_name, exc_info=True)

    def _log_report(self, dataset_name: str) -> None:
        import mlflow

        experiment, _, name = dataset_name.partition(".")
        if name not in _REPORT_FILES or self._context is None:
            return
        folder = reporting_folder(experiment, self._context.params[experiment])
        path = folder / _REPORT_FILES[name]
        try:
            mlflow.log_artifact(str(path), artifact_path=experiment)
            if name == "figures":
                for title, run_id in self._open.items():
                    if title.startswith(f"{experiment}."):
                        mlflow.log_artifact(str(path), run_id=run_id)
        except OSError as error:
            logger.warning("MLflow has no copy of %s: %s", path, error)


def _metrics(kind: str, measured: Any) -> dict[str, float]:
    from robustify.tracking.nets import evaluation_metrics, verification_metrics

    if kind == "evaluation":
        return evaluation_metrics(measured)
    if kind in ("verification", "full_verification"):
        return verification_metrics(measured, kind)
    return {}


def _run_key(context: KedroContext, run_params: dict[str, Any], pipeline: Pipeline) -> str:
    from robustify.fingerprint import fingerprint

    return fingerprint(
        {
            # another machine may have its project in a folder of the same name, and the same server
            "machine": platform.node(),
            "project": str(context.project_path),
            "environment": run_params["env"],
            "nodes": sorted(node.name for node in pipeline.nodes),
            "parameters": {name: context.params[name] for name in experiments_in(pipeline)},
        }
    )
