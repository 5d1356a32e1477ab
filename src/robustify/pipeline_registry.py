"""The project's pipelines, made from the parameters alone."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kedro.framework.project import settings
from kedro.pipeline import Pipeline

from robustify.checks.parameters import ConfigurationError, experiments_of
from robustify.configuration import Experiment, Net, needs_tangent_planes
from robustify.loader import ReadableConfigLoader
from robustify.pipelines.adversarial_set.pipeline import create_pipeline as attack
from robustify.pipelines.evaluation.pipeline import create_pipeline as evaluate
from robustify.pipelines.feedback.pipeline import create_pipeline as feed_back
from robustify.pipelines.ingestion.pipeline import create_pipeline as ingest
from robustify.pipelines.objectives.pipeline import create_pipeline as compare_objectives
from robustify.pipelines.readings.pipeline import create_pipeline as compare_readings
from robustify.pipelines.reporting.pipeline import create_pipeline as report
from robustify.pipelines.seeds.pipeline import create_pipeline as gather_seeds
from robustify.pipelines.smallest_perturbations.pipeline import create_pipeline as find_smallest
from robustify.pipelines.tangents.pipeline import create_pipeline as find_neighbours
from robustify.pipelines.training.pipeline import create_pipeline as train
from robustify.pipelines.verification.pipeline import create_full_pipeline as verify_fully
from robustify.pipelines.verification.pipeline import create_pipeline as verify

_Maker = Callable[[str, Experiment], Pipeline]

_experiments: dict[str, Experiment] = {}


def use_experiments(experiments: Mapping[str, Experiment]) -> None:
    """Build the pipelines of these experiments, those of the run's own parameters and environment."""
    _experiments.clear()
    _experiments.update(experiments)


def register_pipelines() -> dict[str, Pipeline]:
    """Return the project's pipelines by name.

    ``{experiment}_robust`` is the experiment. Where they are configured, ``{experiment}_verification`` is its
    full verification, ``{experiment}_objectives`` one net under each objective, ``{experiment}_readings`` one
    under each reading of Eq. 11, ``{experiment}_smallest_perturbations`` Szegedy's attack (Eq. 1) on the stored nets and
    ``{experiment}_seeds`` the gathering of several seeds; ``__default__``, ``verification``, ``objectives``, ``readings``,
    ``smallest_perturbations`` and ``seeds`` are all of each kind.
    """
    experiments = _experiments or _experiments_on_disk()
    made = {
        kind: {
            f"{name}_{kind}": make(name, experiment)
            for name, experiment in experiments.items()
            if configured(experiment)
        }
        for kind, configured, make in _KINDS
    }
    together = {
        "__default__" if kind == _ROBUST else kind: _sum(pipelines.values())
        for kind, pipelines in made.items()
        if pipelines
    }
    return dict(ChainMap(together, *made.values()))


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
            _trained_and_evaluated(name, experiment, nets),
            *(verify(name, net, nets, "brief") for net in verified),
            report(name, nets, verified=bool(verified)),
        )
    )


def objectives_pipeline(name: str, experiment: Experiment) -> Pipeline:
    """Return the comparison of objectives from raw data to table, the experiment's own nets included.

    Args:
        name: of the experiment.
        experiment: its parameters, with ``objectives``.
    """
    nets = experiment.nets_with("objectives.nets")
    return _trained_and_evaluated(name, experiment, nets) + compare_objectives(name, experiment)


def readings_pipeline(name: str, experiment: Experiment) -> Pipeline:
    """Return the comparison of the readings of Eq. 11 from raw data to table, the experiment's own nets included.

    Args:
        name: of the experiment.
        experiment: its parameters, with ``readings``.
    """
    nets = experiment.nets_with("readings.nets")
    return _trained_and_evaluated(name, experiment, nets) + compare_readings(name, experiment)


def seeds_pipeline(name: str, experiment: Experiment) -> Pipeline:
    """Return the gathering of several seeds' stored nets, and the training of those that only transfer is measured on.

    Args:
        name: of the experiment.
        experiment: its parameters, with ``across_seeds``.
    """
    others = experiment.across_seeds.transfer.nets if experiment.across_seeds else {}
    return _sum(
        (
            *(
                _train(name, net, own, key=f"across_seeds.transfer.nets.{net}", planes=False)
                for net, own in others.items()
            ),
            gather_seeds(name, experiment),
        )
    )


def _trained_and_evaluated(name: str, experiment: Experiment, nets: tuple[str, ...]) -> Pipeline:
    shared = experiment.objective.model_dump()
    chosen = {net: experiment.all_nets[net] for net in nets}
    planes = {net for net, (_, options) in chosen.items() if needs_tangent_planes(shared, options)}
    return _sum(
        (
            ingest(name),
            *([find_neighbours(name)] if planes else []),
            *(
                _train(name, net, options, key=key, planes=net in planes)
                for net, (key, options) in chosen.items()
            ),
            attack(name),
            *(evaluate(name, net) for net in nets),
        )
    )


def _train(experiment: str, name: str, net: Net, *, key: str, planes: bool) -> Pipeline:
    training = train(experiment, name, net, key=key, planes=planes)
    if net.fed_back is None:
        return training
    return feed_back(experiment, name, key=key) + training


def _sum(pipelines: Iterable[Pipeline]) -> Pipeline:
    # added one by one, each sum would be sorted anew
    return Pipeline(dict.fromkeys(node for pipeline in pipelines for node in pipeline.nodes))


def _experiments_on_disk() -> dict[str, Experiment]:
    conf = Path(__file__).parents[2] / "conf"
    loader = ReadableConfigLoader(str(conf), **settings.CONFIG_LOADER_ARGS)
    try:
        return experiments_of(loader["parameters"])
    except ConfigurationError as error:
        # Kedro may ask for pipelines before the parameters are checked; that says what is wrong, all at once
        return dict(error.readable)


def _of_nets(make: Callable[[str, tuple[str, ...]], Pipeline]) -> _Maker:
    return lambda name, experiment: make(name, tuple(experiment.nets))


_ROBUST = "robust"
# what pipelines there are: the end of their names, which experiments have one, how it is made
_KINDS: tuple[tuple[str, Callable[[Experiment], bool], _Maker], ...] = (
    (_ROBUST, lambda experiment: True, experiment_pipeline),
    ("verification", lambda experiment: bool(experiment.verification.full), _of_nets(verify_fully)),
    ("objectives", lambda experiment: experiment.objectives is not None, objectives_pipeline),
    ("readings", lambda experiment: experiment.readings is not None, readings_pipeline),
    (
        "smallest_perturbations",
        lambda experiment: experiment.smallest_perturbations is not None,
        _of_nets(find_smallest),
    ),
    (
        "seeds",
        lambda experiment: bool(experiment.seeds) and experiment.across_seeds is not None,
        seeds_pipeline,
    ),
)
