"""The project's pipelines, made from the parameters alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kedro.config import OmegaConfigLoader
from kedro.framework.project import settings
from kedro.pipeline import Pipeline

from robustify.configuration import Experiment, experiments_of
from robustify.pipelines.adversarial_set.pipeline import create_pipeline as attack
from robustify.pipelines.evaluation.pipeline import create_pipeline as evaluate
from robustify.pipelines.ingestion.pipeline import create_pipeline as ingest
from robustify.pipelines.reporting.pipeline import create_pipeline as report
from robustify.pipelines.training.pipeline import create_pipeline as train
from robustify.pipelines.verification.pipeline import create_full_pipeline as verify_fully
from robustify.pipelines.verification.pipeline import create_pipeline as verify

_experiments: dict[str, Experiment] = {}


def use_experiments(experiments: Mapping[str, Experiment]) -> None:
    """Build the pipelines of these experiments, those of the run's own parameters and environment."""
    _experiments.clear()
    _experiments.update(experiments)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the project's pipelines by name.

    ``{experiment}_robust`` for every experiment and ``__default__`` with all of these;
    ``{experiment}_verification`` where a full verification is configured and ``verification`` with all of these.
    """
    experiments = _experiments or _experiments_on_disk()
    robust = {
        f"{name}_robust": experiment_pipeline(name, experiment)
        for name, experiment in experiments.items()
    }
    verification = {
        f"{name}_verification": verify_fully(name, tuple(experiment.nets))
        for name, experiment in experiments.items()
        if experiment.verification.full
    }
    together = {"__default__": _sum(robust.values())}
    if verification:
        together["verification"] = _sum(verification.values())
    return {**robust, **verification, **together}


def experiment_pipeline(name: str, experiment: Experiment) -> Pipeline:
    """Return one experiment from raw data to report.

    Args:
        name: of the experiment, the namespace of its nodes and data sets.
        experiment: its parameters.
    """
    nets = tuple(experiment.nets)
    verified = nets if experiment.verification.brief else ()
    return _sum(
        (
            ingest(name),
            *(train(name, net, options) for net, options in experiment.nets.items()),
            attack(name),
            *(evaluate(name, net) for net in nets),
            *(verify(name, net, nets, "brief") for net in verified),
            report(name, nets, verified=bool(verified)),
        )
    )


def _sum(pipelines: Iterable[Pipeline]) -> Pipeline:
    return sum(pipelines, Pipeline([]))


def _experiments_on_disk() -> dict[str, Experiment]:
    conf = Path(__file__).parents[2] / "conf"
    loader = OmegaConfigLoader(str(conf), **settings.CONFIG_LOADER_ARGS)
    return experiments_of(loader["parameters"])
