"""Parameters are checked before the first node, and mistakes end in one line."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from click import ClickException
from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from robustify import pipeline_registry
from robustify.checks.missing_inputs import missing_inputs
from robustify.checks.parameters import ConfigurationError, experiments_of
from robustify.checks.remaining import without_what_exists
from robustify.checks.spelling import stray_parameters
from robustify.checks.unreadable import reason_of, unreadable_inputs
from robustify.checks.unwritable import unwritable_outputs
from robustify.configuration import Experiment
from robustify.errors import InputError
from robustify.placement import place

logger = logging.getLogger(__name__)


class CheckedParameters:
    """Refuses wrong parameters in one line, before any work starts, and tells the registry the experiments."""

    def __init__(self) -> None:
        self._experiments: dict[str, Experiment] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the shape of the parameters, and rebuild the pipelines and the catalog's paths from them."""
        parameters = _parameters_of(context)
        problems = stray_parameters(parameters)
        try:
            self._experiments = experiments_of(parameters)
        except ConfigurationError as error:
            problems += [str(error), *_further(error)]
        _refuse(problems)
        pipeline_registry.use_experiments(self._experiments)
        pipelines.configure(pipeline_registry.__name__)
        loader = context.config_loader
        loader["catalog"] = place(_checked(loader["catalog"]), self._experiments)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Make every part that a parameter names, so that a wrong name or value shows now."""
        from robustify.checks.preflight import problems_of

        if run_params.get("only_missing_outputs"):
            pipeline = without_what_exists(pipeline, catalog)
        tags = {tag for node in pipeline.nodes for tag in node.tags}
        problems = [
            f"{key}: {complaint}"
            for name, experiment in self._experiments.items()
            if name in tags
            for key, complaint in problems_of(name, experiment)
            if not f"{key}.".startswith(_not_trained(name, experiment, pipeline))
        ]
        for name, experiment in self._experiments.items():
            if any({name, "transfer"} <= node.tags for node in pipeline.nodes):
                problems += [*_of_other_nets(name, experiment), *_of_two_seeds(name, experiment)]
        _refuse(problems)
        _refuse(missing_inputs(pipeline, catalog, pipelines))
        _refuse(unwritable_outputs(pipeline, catalog))
        _refuse(unreadable_inputs(pipeline, catalog))
        _require_data(pipeline, catalog, self._experiments)

    @hook_impl(wrapper=True, tryfirst=True)
    def on_pipeline_error(self, error: Exception) -> Generator[None, object, object]:
        """Show an error that the user can mend as one line, whatever MLflow makes of the run's end."""
        from mlflow.exceptions import MlflowException

        result: object = []
        try:
            result = yield
        except MlflowException as other:
            logger.warning("MLflow doesn't take the run's end (%s)", other)
        reason = reason_of(error)
        if reason is not None:
            raise ClickException(reason) from error
        return result


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise ClickException("; ".join(problems))


def _parameters_of(context: KedroContext) -> Mapping[str, Any]:
    try:
        # context.params would first build all pipelines, to check the types that their nodes ask for
        parameters: Mapping[str, Any] = context.config_loader["parameters"]
    except MissingConfigException:
        return context.params
    return parameters


def _checked(catalog: dict[str, Any]) -> dict[str, Any]:
    for name, entry in catalog.items():
        if not name.startswith("_") and not (isinstance(entry, Mapping) and "type" in entry):
            raise ClickException(f"configuration of 'catalog': {name} has no type")
    return catalog


def _not_trained(name: str, experiment: Experiment, pipeline: Pipeline) -> tuple[str, ...]:
    """Return the keys of nets that only other pipelines train: what they don't go with is nothing to this run."""
    trained = {node.namespace for node in pipeline.nodes if "training" in node.tags}
    return tuple(
        f"{name}.{key}."
        for net, (key, _) in experiment.all_nets.items()
        if net not in experiment.nets and f"{name}.{net}" not in trained
    )


def _of_other_nets(name: str, experiment: Experiment) -> list[str]:
    """Return a complaint for every stored net that transfer is to be measured on and can't be."""
    from robustify.checks.other_nets import problem_of_other_net

    also = experiment.across_seeds.transfer.also if experiment.across_seeds else {}
    found = ((net, problem_of_other_net(Path(path), experiment)) for net, path in also.items())
    return [
        f"{name}.across_seeds.transfer.also.{net}: {problem}" for net, problem in found if problem
    ]


def _of_two_seeds(name: str, experiment: Experiment) -> Iterator[str]:
    """Yield a complaint where examples would go between nets of the first seed and nets of the experiment's own."""
    others = experiment.across_seeds.transfer.nets if experiment.across_seeds else {}
    if others and experiment.seeds and experiment.seeds[0] != experiment.seed:
        first = experiment.seeds[0]
        yield (
            f"{name}.seeds: begins with {first}, but {', '.join(others)} of {name}.across_seeds.transfer.nets would have seed {experiment.seed}; "
            f"begin with {experiment.seed}, or give {name}.seed={first}, too"
        )


def _further(error: ConfigurationError) -> Iterator[str]:
    """Yield what is wrong with the values, so that it isn't found only when the keys are mended."""
    from robustify.checks.preflight import problems_of

    for name, experiment in error.readable.items():
        for key, complaint in problems_of(name, experiment):
            if not error.explains(key, complaint):
                yield f"{key}: {complaint}"


def _require_data(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], experiments: Mapping[str, Experiment]
) -> None:
    from robustify.checks.stored_data import stale_data
    from robustify.checks.stored_nets import stale_nets

    try:
        stale = [
            *stale_data(pipeline, catalog, experiments),
            *stale_nets(pipeline, catalog, experiments, pipelines),
        ]
    except InputError as error:
        raise ClickException(str(error)) from error
    _refuse(stale)
