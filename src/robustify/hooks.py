"""Hooks: parameters are checked before the first node, and every net gets an MLflow run of its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from click import ClickException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from robustify import pipeline_registry
from robustify.configuration import Experiment, experiments_of
from robustify.errors import InputError

logger = logging.getLogger(__name__)

REPORTING = Path("data/08_reporting")
_REPORT_FILES = {
    "figures": "figures",
    "report": "report.html",
    "results": "results.json",
    "table": "table.csv",
}


class CheckedParameters:
    """Refuses wrong parameters in one line, before any work starts, and tells the registry the experiments."""

    def __init__(self) -> None:
        self._experiments: dict[str, Experiment] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the shape of the parameters, and rebuild the pipelines from them."""
        try:
            self._experiments = experiments_of(context.params)
        except InputError as error:
            raise ClickException(str(error)) from error
        pipeline_registry.use_experiments(self._experiments)
        pipelines.configure(pipeline_registry.__name__)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Make every part that a parameter names, so that a wrong name or value shows now."""
        from robustify.preflight import check

        tags = {tag for node in pipeline.nodes for tag in node.tags}
        try:
            for name, experiment in self._experiments.items():
                if name in tags:
                    check(name, experiment)
        except InputError as error:
            raise ClickException(str(error)) from error

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Show an error that the user can mend as one line."""
        cause: BaseException | None = error
        while isinstance(cause, DatasetError):
            cause = cause.__cause__
        if isinstance(cause, InputError | FileNotFoundError):
            raise ClickException(str(cause)) from error


class Summary:
    """Ends a run by printing each experiment's table and where to look."""

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print the summary of every experiment whose report was written."""
        from robustify.report import render_text

        for node in pipeline.nodes:
            if "reporting" in node.tags and f"{node.namespace}.report" in node.outputs:
                results = catalog.load(f"{node.namespace}.results")
                table = catalog.load(f"{node.namespace}.table")
                print(render_text(results, table, folder=str(REPORTING / str(node.namespace))))  # noqa: T201


class NetRuns:
    """One nested MLflow run a net: opened before its training, revisited by its evaluation."""

    def __init__(self) -> None:
        self._parent: str | None = None
        self._run_of: dict[str, str] = {}

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Remember the run that kedro-mlflow opened for the pipeline."""
        import mlflow

        from robustify.tracking import git_commit

        active = mlflow.active_run()
        self._parent = active.info.run_id if active else None
        self._run_of.clear()
        if active:
            mlflow.set_tag("robustify.git_commit", git_commit())

    @hook_impl(trylast=True)
    def before_node_run(self, node: Node, inputs: dict[str, Any]) -> None:
        """Open a net's run before its training, with its parameters and tags."""
        if "training" not in node.tags or self._parent is None:
            return
        import mlflow

        from robustify.devices import choose_device, describe
        from robustify.tracking import flatten, git_commit

        experiment, net = str(node.namespace).split(".")
        parameters = {
            name.removeprefix("params:").removeprefix(f"{experiment}."): value
            for name, value in inputs.items()
            if name.startswith("params:")
        }
        member = parameters.pop(f"nets.{net}")
        uncertainty_set = member["uncertainty_set"]
        run = mlflow.start_run(
            run_name=str(node.namespace),
            nested=True,
            parent_run_id=self._parent,
            log_system_metrics=True,
        )
        self._run_of[str(node.namespace)] = run.info.run_id
        mlflow.log_params(flatten({**parameters, **member}))
        mlflow.set_tags(
            {
                "robustify.experiment": experiment,
                "robustify.net": net,
                "robustify.norm": uncertainty_set["name"],
                "robustify.radius": uncertainty_set.get("radius", 0),
                "robustify.device": describe(choose_device(parameters["device"])),
                "robustify.git_commit": git_commit(),
            }
        )

    @hook_impl(trylast=True)
    def after_node_run(self, node: Node, outputs: dict[str, Any]) -> None:
        """Add an evaluation to the run of its net."""
        if self._parent is not None and "evaluation" in node.tags:
            namespace = str(node.namespace).removesuffix("_evaluation")
            self._add(namespace, outputs[f"{namespace}.evaluation"])

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Mark a net's run as failed when its training fails."""
        if "training" in node.tags and self._parent is not None:
            import mlflow

            mlflow.end_run("FAILED")

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Log a net once it is stored and close its run; put the report's files into the runs."""
        if self._parent is None:
            return
        if "training" in node.tags:
            self._log_net(dataset_name, data)
            if dataset_name == node.outputs[-1]:
                import mlflow

                mlflow.end_run()
        elif "reporting" in node.tags:
            self._log_report(dataset_name)

    def _log_net(self, dataset_name: str, data: Any) -> None:
        from robustify.tracking import log_trained_net

        if not dataset_name.endswith(".model"):
            return
        try:
            log_trained_net(data)
        except Exception:
            # the net is stored; that MLflow couldn't take a copy mustn't end the experiment
            logger.warning("%s wasn't logged to MLflow", dataset_name, exc_info=True)

    def _log_report(self, dataset_name: str) -> None:
        import mlflow

        experiment, _, name = dataset_name.partition(".")
        if name not in _REPORT_FILES:
            return
        path = REPORTING / experiment / _REPORT_FILES[name]
        mlflow.log_artifact(str(path), artifact_path=experiment)
        if name == "figures":
            for namespace, run_id in self._run_of.items():
                if namespace.startswith(f"{experiment}."):
                    mlflow.log_artifact(str(path), run_id=run_id)

    def _add(self, namespace: str, evaluation: dict[str, Any]) -> None:
        import mlflow

        from robustify.tracking import find_run, log_evaluation

        run_id = self._run_of.get(namespace) or find_run(evaluation["weights_sha256"])
        if run_id is not None:
            with mlflow.start_run(run_id=run_id, nested=True, log_system_metrics=False):
                log_evaluation(evaluation)
