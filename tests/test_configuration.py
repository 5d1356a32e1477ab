from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader
from pydantic import BaseModel
from torch import nn

from robustify.checks import parameters as reading
from robustify.checks.parameters import ConfigurationError, experiments_of
from robustify.checks.preflight import problems_of
from robustify.checks.spelling import stray_parameters
from robustify.configuration import Experiment, Net, needs_tangent_planes, objective_of, training_of
from robustify.errors import InputError
from robustify.nets import make_net
from robustify.nets.vgg import VGG
from robustify.settings import CONFIG_LOADER_ARGS
from robustify.training.optimisers import make_descent

from .checked import check
from .conftest import PROJECT


def load(env: str) -> dict[str, Any]:
    return OmegaConfigLoader(str(PROJECT / "conf"), env=env, **CONFIG_LOADER_ARGS)["parameters"]


@pytest.fixture
def parameters() -> dict[str, Any]:
    return copy.deepcopy(load("base"))


SHIPPED = sorted(path.name for path in (PROJECT / "conf").glob("*/") if path.name != "local")


@pytest.mark.parametrize("env", SHIPPED)
def test_shipped_parameters_pass_every_check(env: str) -> None:
    experiments = experiments_of(load(env))
    assert list(experiments) == ["mnist", "cifar"]
    for name, experiment in experiments.items():
        check(name, experiment)


def test_a_last_batch_of_one_image_is_told_where_it_cannot_be_normalised() -> None:
    paper = load("paper")
    for images, held_out, batch_size, told in (
        (1025, 0, 128, True),
        (1024, 0, 128, False),
        (1035, 10, 128, True),
        (1025, 0, 1, True),
    ):
        cifar = copy.deepcopy(paper["cifar"])
        cifar["data"]["training_images"] = images
        cifar["training"] |= {"held_out": held_out, "batch_size": batch_size}
        problems = problems_of("cifar", experiments_of({**paper, "cifar": cifar})["cifar"])
        found = [complaint for key, complaint in problems if key == "cifar.training.batch_size"]
        assert len(found) == told
        lonely = "is 1; 'vgg'" if batch_size == 1 else "leaves a single one of 1025 images"
        assert all(lonely in complaint for complaint in found)
    # images have many places, over which convolutions' features are normalised
    base = load("base")
    base["cifar"]["data"]["training_images"] = base["cifar"]["training"]["batch_size"] + 1
    assert problems_of("cifar", experiments_of(base)["cifar"]) == []


@pytest.mark.parametrize("env", ["base", "quick", "paper"])
def test_training_radii_are_at_least_the_sets(env: str) -> None:
    for experiment in experiments_of(load(env)).values():
        for norm, options in experiment.adversarial_set.sets.items():
            trained = experiment.nets[norm].uncertainty_set.model_dump()["radius"]
            assert trained >= options["radius"]


def test_all_mistakes_are_reported_at_once_with_their_keys(parameters: dict[str, Any]) -> None:
    parameters["mnist"]["training"]["epoch"] = 3
    parameters["mnist"]["training"]["stepz"] = 3
    parameters["mnist"]["training"]["batch_size"] = 0
    parameters["cifar"]["evaluation"]["epsilons"] = [0.1, 1.5]
    del parameters["cifar"]["nets"]["baseline"]
    with pytest.raises(ConfigurationError) as caught:
        experiments_of(parameters)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "mnist.training.epoch: is unknown; did you mean epochs?",
        "mnist.training.stepz: is unknown",
        "mnist.training.batch_size:",
        "epsilon 1.5",
    ):
        assert part in message
    # steps are known elsewhere, and aren't offered here
    assert "did you mean steps" not in message


def further(error: ConfigurationError) -> list[str]:
    return [
        f"{key}: {complaint}"
        for name, experiment in error.readable.items()
        for key, complaint in problems_of(name, experiment)
        if not error.explains(key, complaint)
    ]


def test_what_can_be_read_without_the_mistakes_is_checked_further(
    parameters: dict[str, Any],
) -> None:
    parameters["mnist"]["training"]["epoch"] = 3
    parameters["mnist"]["evaluation"]["pgd"] = "many"
    parameters["mnist"]["nets"]["l2"]["uncertainty_set"]["radius"] = -1.0
    parameters["cifar"]["training"]["epochs"] = 0
    untouched = copy.deepcopy(parameters)
    with pytest.raises(ConfigurationError) as caught:
        experiments_of(parameters)
    assert parameters == untouched
    assert list(caught.value.readable) == ["mnist", "cifar"]
    assert further(caught.value) == [
        "mnist.nets.l2.uncertainty_set: radius of 'l2' is -1.0; it must be a finite number > 0"
    ]


def required_keys(model: type[BaseModel], way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        if field.is_required():
            yield (*way, name)
        for inner in reading._models_in(field.annotation):
            if field.annotation is inner:
                yield from required_keys(inner, (*way, name))


@pytest.mark.parametrize("way", required_keys(Experiment), ids=".".join)
@pytest.mark.parametrize("wrong", [None, object()])
def test_a_wrong_required_key_hides_no_other_mistake(
    parameters: dict[str, Any], way: tuple[str, ...], wrong: object
) -> None:
    inner: Any = parameters["mnist"]
    for key in way[:-1]:
        inner = inner[key]
    if wrong is None:
        del inner[way[-1]]
    else:
        inner[way[-1]] = wrong
    # two mistakes far from each other, so that one is left wherever the required key is
    if way[0] != "nets":
        parameters["mnist"]["nets"]["l2"]["uncertainty_set"]["radius"] = -1.0
    parameters["mnist"]["readings"]["nets"]["l2_literal"]["maximiser"] = {"name": "fgsm"}
    with pytest.raises(ConfigurationError) as caught:
        experiments_of(parameters)
    assert [key for key in caught.value.keys if not key.startswith(f"mnist.{'.'.join(way)}")] == []
    found = further(caught.value)
    assert sum("l2_literal.maximiser.name: 'fgsm' is unknown" in one for one in found) == 1
    assert len(found) == (1 if way[0] == "nets" else 2), found


HUGE = 10**400


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # options that a part can't be made with, whatever its name is
        ({"training.schedule": {"name": "triangel", "warmup": "x"}}, ["training.schedule.name"]),
        ({"training.schedule": {"name": "triangle", "steps": 3}}, ["training.schedule.steps"]),
        ({"training.schedule.zzz": None}, ["training.schedule.zzz"]),
        ({"training.optimiser.net": None}, ["training.optimiser.net"]),
        ({"training.optimiser.steps": None}, ["training.optimiser.steps"]),
        ({"objective": {"uncertainty_set": None}}, ["objective.uncertainty_set"]),
        ({"net.zzz": None}, ["net.zzz"]),
        ({"nets.l2.uncertainty_set.radius": None}, ["nets.l2.uncertainty_set.radius"]),
        (
            {"across_seeds.transfer.nets.fully_connected.net": {"name": ["x"]}},
            ["across_seeds.transfer.nets.fully_connected.net.name"],
        ),
        # numbers that no machine counts to
        ({"nets.l2.uncertainty_set.radius": HUGE}, ["nets.l2.uncertainty_set.radius"]),
        ({"objectives.pgd.steps": HUGE}, ["objectives.pgd.steps"]),
        ({"seed": int("f" * 5000, 16)}, ["seed"]),
        ({"nets.l2.seed_offset": 2**64}, ["nets.l2.seed_offset"]),
        ({"training.batch_size": 2**63}, ["training.batch_size"]),
        ({"training.epochs": HUGE}, ["training.epochs"]),
        ({"net.widths": [2**63, 2, 3]}, ["net.widths"]),
        # one mistake beside another
        *(
            ({"device": "gpu", **changes}, ["device", key])
            for key, changes in {
                "verification.brief.attacks.Bad": {
                    "verification.brief.attacks": {"Bad": {"name": "pgd"}}
                },
                "verification.brief.norms.linff": {"verification.brief.norms": {"linff": [0.1]}},
                "readings.nets.Bad": {"readings.nets": {"Bad": {"uncertainty_set": {"name": "point"}}}},
                "across_seeds.transfer.sets.l2": {"across_seeds.transfer.sets": {"l2": 3}},
                "tangent_planes.neighbours": {"tangent_planes": {"neighbours": "x", "dimension": 25}},
                "objectives.pgd.steps": {
                    "objectives.pgd": {"epsilons": [0.1], "steps": "x", "relative_step": 0.01}
                },
                "nets": {"nets": None},
                "nets.l2": {"nets.l2": 3},
            }.items()
        ),
        (
            {"objective": {"label_smoothing": -1.0, "name": "vat", "beta": -5}},
            ["objective", "objective.label_smoothing"],
        ),
        ({"training.epochs": 0, "training.watch": {}}, ["training", "training.epochs"]),
        ({"net.name": "resnet", "objective": {"name": "mixed", "alpha": 7}}, ["net.name", "objective"]),
        ({"folder": "l2", "folder_x": 1}, ["folder", "folder_x"]),
        ({"folder": "objectives"}, ["folder"]),
        ({"classes": [*"01234567", "8", "8"]}, ["classes"]),
        ({"paper.nets.l3": {"test_accuracy": 0.9, "adversarial_set_accuracy": 0.5}}, ["paper.nets.l3"]),
        ({"nets.seed_1": {"uncertainty_set": {"name": "point"}}}, ["nets.seed_1"]),
        ({"tangent_planes.dimension": 21}, ["tangent_planes"]),
        (
            {"across_seeds.transfer.nets.t": {"uncertainty_set": {"name": "tangent", "radius": 1.0}}},
            ["across_seeds.transfer.nets.t"],
        ),
        (
            # without layers that Muon descends on
            {
                "training.optimiser": {
                    "name": "muon", "learning_rate": 0.1, "filter_learning_rate": 0.1
                },
            },
            ["across_seeds.transfer.nets.fully_connected.training.optimiser"],
        ),
    ],
)  # fmt: skip
def test_every_mistake_is_named_and_nothing_else(
    parameters: dict[str, Any], changes: dict[str, Any], expected: list[str]
) -> None:
    for path, value in changes.items():
        *way, last = path.split(".")
        inner: Any = parameters["mnist"]
        for key in way:
            inner = inner[key]
        inner[last] = value
    told: list[tuple[str, str]] = []
    try:
        experiments = experiments_of(parameters)
    except ConfigurationError as error:
        told = [(key, str(error)) for key in error.keys]
        told += [tuple(one.split(": ", 1)) for one in further(error)]  # type: ignore[misc]
        experiments = {}
    told += [problem for name, one in experiments.items() for problem in problems_of(name, one)]
    assert sorted({key for key, _ in told}) == [f"mnist.{key}" for key in sorted(expected)]
    assert all(len(complaint) < 800 and "\n" not in complaint for _, complaint in told)


@pytest.mark.parametrize("name", ["training", "..", "../x", "mnist.x", "Mnist", "seed_1", 3, ["x"]])
def test_experiments_have_plain_names(parameters: dict[str, Any], name: Any) -> None:
    if isinstance(name, str):
        parameters[name] = parameters["mnist"]
    with pytest.raises(ConfigurationError, match=r"experiments: .* must be of lower-case"):
        experiments_of({**parameters, "experiments": ["mnist", name]})


def test_contradictions_are_reported_beside_other_mistakes(parameters: dict[str, Any]) -> None:
    mnist = parameters["mnist"]
    mnist["seed"] = -1
    mnist["folder"] = "l2"
    mnist["nets"]["l2"]["net"] = {"name": "vgg"}
    mnist["nets"]["baseline"]["fed_back"] = {"name": "l2", "radius": 1.0}
    mnist["objectives"]["nets"]["l1"] = {"uncertainty_set": {"name": "point"}}
    with pytest.raises(ConfigurationError) as caught:
        experiments_of(parameters)
    assert list(caught.value.keys) == [
        "mnist.seed",
        "mnist.nets.l2.net",
        "mnist.objectives.nets.l1",
        "mnist.folder",
        "mnist.nets.baseline.fed_back",
    ]


def test_an_experiment_needs_a_plain_baseline(parameters: dict[str, Any]) -> None:
    parameters["mnist"]["nets"]["baseline"]["uncertainty_set"] = {"name": "l2", "radius": 1.0}
    with pytest.raises(ConfigurationError, match=r"mnist\.nets\.baseline: must be there"):
        experiments_of(parameters)


def test_listed_experiments_must_exist(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="svhn: listed"):
        experiments_of({**parameters, "experiments": ["svhn"]})
    with pytest.raises(ConfigurationError, match="at least one"):
        experiments_of({**parameters, "experiments": []})
    with pytest.raises(ConfigurationError, match="experiments: lists mnist twice"):
        experiments_of({**parameters, "experiments": ["mnist", "cifar", "mnist"]})


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("net.name", "resnet", "known: mnist_convnet"),
        ("data.name", "svhn", r"mnist\.data\.name: .*known: mnist, cifar10"),
        ("data.training_images", 60001, r"mnist\.data\.training_images: is 60001; mnist has 60000"),
        ("data.test_images", 10001, r"data\.test_images: is 10001; mnist has 10000"),
        ("device", "gpu0", "known: auto"),
        ("device", "meta", "device is 'meta'; known: auto, cpu, cuda"),
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "steps": 2.5},
            r"nets\.l2\.maximiser\.steps: .*valid integer.*got 2\.5",
        ),
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "random_start": "off"},
            r"nets\.l2\.maximiser\.random_start: .*valid boolean.*got 'off'",
        ),
        ("nets.l2.net", {"input_batchnorm": True}, "did you mean input_batch_norm"),
        ("across_seeds.transfer.also", {"linf": "net.safetensors"}, "own net has that name"),
        ("training.optimiser.name", "rmsprop", "known: sgd, muon, adam"),
        (
            "training.optimiser.learning_rat",
            1,
            r"training\.optimiser\.learning_rat: is unknown to 'sgd'; did you mean learning_rate",
        ),
        (
            "training.schedule.warm_up",
            1,
            r"schedule\.warm_up: is unknown to 'triangle'; did you mean warmup",
        ),
        (
            "net.input_norm",
            True,
            r"mnist\.net\.input_norm: is unknown to 'mnist_convnet'.*input_batch_norm",
        ),
        (
            "nets.l2.uncertainty_set.radus",
            1.0,
            r"mnist\.nets\.l2\.uncertainty_set\.radus: .*mean radius",
        ),
        ("nets.l2.maximiser", {"name": "projected_gradient", "step": 2}, "did you mean steps"),
        (
            "adversarial_set.sets.l2.radiu",
            1.0,
            r"adversarial_set\.sets\.l2\.radiu: .*did you mean radius",
        ),
        ("nets.l2.uncertainty_set.radius", -1.0, "must be a finite number > 0"),
        ("nets.l2.uncertainty_set.radius", 30.0, r"mnist\.nets\.l2.*only 28 across"),
        ("nets.l2.uncertainty_set.name", "l7", "known: point, l1, l2, linf"),
        ("nets.linf.maximiser", {"name": "fgsm"}, "known: steepest_ascent"),
        ("adversarial_set.sets.linf.radius", 1.5, "only 1 across"),
        ("adversarial_set.sets", {"point": {}}, "no norm ball"),
        ("adversarial_set.sets.l2.name", "l2", "named by its key"),
        ("classes", ["0", "1"], "mnist.classes: has 2 names"),
        ("net", {"name": "vgg"}, "takes no images of shape"),
        ("training.flips", "off", "mnist.training.flips"),
        ("seed", 1.0, "mnist.seed"),
        ("training.optimiser.learning_rate", -1.0, r"learning_rate is -1\.0; it must be > 0"),
        ("training.optimiser.learning_rate", 0, r"optimiser: learning_rate is 0; it must be > 0"),
        ("training.optimiser.momentum", 1.0, r"momentum is 1\.0; it must be in \[0, 1\)"),
        ("training.optimiser.weight_decay", -0.1, r"weight_decay is -0\.1; it must be >= 0"),
        ("training.optimiser.dampening", 1.5, r"dampening is 1\.5; it must be in \[0, 1\]"),
        ("training.optimiser.dampening", 0.5, "nesterov goes without dampening"),
        (
            "training.optimiser",
            {"name": "muon", "learning_rate": 0.1, "filter_learning_rate": -1.0},
            r"filter_learning_rate is -1\.0; it must be > 0",
        ),
        (
            "training.optimiser",
            {"name": "muon", "learning_rate": 0.1, "filter_learning_rate": 1, "filter_momentum": 1},
            "filter_momentum is 1; it must be in",
        ),
        (
            "training.optimiser",
            {"name": "adam"},
            r"training\.optimiser\.learning_rate: is missing; 'adam' needs it",
        ),
        ("training.translation", 28, r"training\.translation: is 28; .*at most 27"),
        ("paper.adversarial_set_size", -5, r"mnist\.paper\.adversarial_set_size: .*got -5"),
        ("objective.maximiser", 3, r"objective\.maximiser: is unknown to 'worst_case'"),
        (
            "nets.l2.objective",
            {"name": 3},
            r"nets\.l2\.objective\.name: 3 is unknown; known: worst_case",
        ),
        ("net.widths", [10**30, 2, 3], r"mnist\.net\.widths: whole numbers must be below"),
        ("net.widths", [], "mnist.net: "),
        (
            "verification.full.autoattack",
            {"linff": {"norm": "l2", "epsilon": 1.0}},
            r"verification\.full\.autoattack\.linff: is no net of the experiment; did you mean linf",
        ),
        ("training.schedule.warmup", -1, "warmup is -1"),
        ("nets.Robust", {"uncertainty_set": {"name": "point"}}, "lower-case"),
        ("paper", {"nets": {"l2": 0.9}}, "mnist.paper.nets.l2"),
        ("objective.name", "tikhonov", r"mnist\.objective\.name: 'tikhonov' is unknown; known: "),
        ("objective", {"name": "mixed", "alpha": 2}, r"mnist\.objective: alpha is 2"),
        (
            "nets.l2.objective",
            {"name": "mixed", "alpha": "half"},
            r"mnist\.nets\.l2\.objective\.alpha: .*valid number.*got 'half'",
        ),
        (
            "nets.l2.objective",
            {"name": "mixed", "beta": 1},
            r"nets\.l2\.objective\.beta: is unknown to 'mixed'",
        ),
        (
            "nets.l2.objective",
            {"name": "jacobian", "projections": 1.5},
            r"objective\.projections: .*valid integer.*got 1\.5",
        ),
        ("nets.l2.objective", {"name": "vat", "power_iteration": 2}, "mean power_iterations"),
        (
            "nets.l2.objective",
            {"name": "manifold_tangent", "bases": 3},
            r"objective\.bases: is unknown to 'manifold_tangent'",
        ),
        ("net.widths", [1.5, 2, 3], r"mnist\.net\.widths: "),
        (
            "verification.brief.attacks",
            {"pgd": {"name": "pgd", "steps": 2.5}},
            r"verification\.brief\.attacks\.pgd\.steps: .*valid integer.*got 2\.5",
        ),
        ("verification.brief.norms", {"linf": [0.1, 0.1]}, "names something twice"),
        ("verification.brief.norms", {"linf": [0.1, 0.10000001]}, "names something twice"),
        ("evaluation.epsilons", [0.1, 0.10000001], "epsilons repeat, or differ in less than six"),
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "relative_step": float("inf")},
            r"maximiser\.relative_step: .*finite number.*got inf",
        ),
        (
            "training.optimiser.learning_rate",
            float("nan"),
            r"training\.optimiser\.learning_rate: .*finite number.*got nan",
        ),
        ("objectives.pgd.relative_step", float("inf"), r"objectives\.pgd\.relative_step"),
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "relative_step": 1e300},
            r"relative_step is 1e\+300; it must be in \(0, 2\]",
        ),
        ("evaluation.epsilons", [0], "0 alone is no step"),
        ("evaluation.epsilons", [0.1, 1e-20], r"evaluation\.epsilons\.?.*must be from 1e-18"),
        (
            "nets.control.seed_offset",
            0,
            r"nets\.control\.seed_offset: is 0, the baseline's; with the same seed",
        ),
        (
            "nets.copy",
            {"seed_offset": 1, "uncertainty_set": {"name": "l2", "radius": 1.2}},
            r"nets\.copy: is nets\.l2 again, its seed included",
        ),
        (
            "nets.control.uncertainty_set",
            {"name": "l2", "radius": 1.0},
            r"nets\.control\.uncertainty_set: must be {name: point}",
        ),
        ("training.watch", {"relative_step": 3.0}, r"training\.watch\.relative_step: .*got 3\.0"),
        ("objectives.pgd.relative_step", 3.0, r"objectives\.pgd\.relative_step: .*got 3\.0"),
        ("training.optimiser.learning_rate", 1e39, r"is 1e\+39; it must be at most 1e\+38"),
        ("training.optimiser.weight_decay", 1e39, r"is 1e\+39; it must be at most 1e\+38"),
        ("nets", {"l2_verification": {}}, r"net 'l2_verification' must end in none of"),
        (
            "readings.nets",
            {"cifar": {"uncertainty_set": {"name": "point"}}},
            r"mnist\.readings\.nets\.cifar: an experiment has that name",
        ),
        (
            "data.training_images",
            100,
            r"objectives\.nets\.tangent: tangent_planes\.neighbours is 20; .* no more than 5 images",
        ),
        (
            "tangent_planes.neighbours",
            5421,
            "neighbours is 5421; of the smallest class no more than 5421 images",
        ),
        ("objective.label_smoothin", 0.1, r"mnist\.objective\.label_smoothin: "),
        (
            "nets.l2.objective",
            {"name": "mixed", "alpha": -0.5},
            r"mnist\.nets\.l2\.objective: alpha is -0\.5; it must be in \[0, 1\]",
        ),
        ("nets.l2.net", {"input_batch_nrom": True}, r"mnist\.nets\.l2\.net\.input_batch_nrom: "),
        ("nets.l2.net", {"name": "vgg"}, r"nets\.l2\.net: .*leave 'name' out"),
        (
            "nets.l2.fed_back",
            {"name": "point"},
            r"mnist\.nets\.l2\.fed_back: 'point' is no norm ball; known: l1, l2, linf$",
        ),
        (
            "adversarial_set.sets.tangent",
            {"radius": 1.0},
            r"mnist\.adversarial_set\.sets\.tangent: 'tangent' is no norm ball; known: l1, l2, linf$",
        ),
        (
            "adversarial_set.sets.l7",
            {"radius": 1.0},
            r"mnist\.adversarial_set\.sets\.l7\.name: 'l7' is unknown.*; known: l1, l2, linf$",
        ),
        ("nets.l2.fed_back", {"name": "l2", "radius": 99.0}, "only 28 across"),
        ("nets.baseline.fed_back", {"name": "l2", "radius": 1.0}, "made against it"),
        (
            "objectives.nets.l2",
            {"uncertainty_set": {"name": "point"}},
            r"mnist\.objectives\.nets\.l2: nets has a net of that name, too",
        ),
        ("objectives.nets.mixed.objective.alpha", 7, r"mnist\.objectives\.nets\.mixed\.objective"),
        ("objectives.nets.vat.maximiser", {"name": "projected_gradient"}, "has no place"),
        ("objectives.nets.tangent.uncertainty_set.radius", 29.0, "only 28 across"),
        ("objectives.pgd.epsilons", [0.0], "epsilon 0 is no attack"),
        ("objectives.pgd.steps", 5, "5 steps of 0.1 radii can't cross the ball"),
        ("training.translation", 2, "mnist.objectives.nets.tangent: tangent planes are those"),
        ("tangent_planes", None, "mnist.objectives.nets.manifold_tangent: .*give tangent_planes"),
        ("tangent_planes.dimension", 21, "mnist.tangent_planes: .*dimension 21 is more"),
        (
            "training.held_out",
            60000,
            r"mnist\.training\.held_out: is 60000; .*may be 54200 at most",
        ),
        ("training.held_out", -1, r"mnist\.training\.held_out"),
        ("training.watch", {}, r"mnist\.training: .*held_out is 0; raise it"),
        ("training.watch", {"step": 3}, r"training\.watch\.step: is unknown; did you mean steps"),
        ("training.watch", {"action": "panic"}, r"mnist\.training\.watch\.action"),
        ("training.averaging", 1.0, r"mnist\.training\.averaging"),
        ("training.radius_warmup", -0.5, r"mnist\.training\.radius_warmup"),
        ("nets.l2.training", {"epoch": 3}, r"nets\.l2\.training\.epoch: is unknown.*mean epochs"),
        ("nets.l2.training", {"watch": {}}, r"mnist\.nets\.l2\.training: .*held_out is 0"),
        (
            "nets.l2.training",
            {"optimiser": {"name": "sgd", "learning_rat": 1}},
            r"mnist\.nets\.l2\.training\.optimiser\.learning_rat: .*did you mean learning_rate",
        ),
        (
            "training.compile",
            "default",
            r"objectives\.nets\.jacobian\.objective: training\.compile: the objective 'jacobian'",
        ),
        (
            "nets.l2.training",
            {"held_out": 100, "watch": {"epsilon": 30.0}},
            r"mnist\.nets\.l2: training\.watch\.epsilon is 30\.0; .*only 28 across",
        ),
        (
            "objectives.nets.tangent.training",
            {"held_out": 100},
            r"objectives\.nets\.tangent: .*training\.held_out to 0",
        ),
        (
            "objectives.nets.fed_back.training",
            {"held_out": 100},
            r"objectives\.nets\.fed_back: examples made of held-out images would be trained on",
        ),
        (
            "nets.l2",
            {
                "uncertainty_set": {"name": "point"},
                "objective": {"name": "operator_norm"},
                "net": {"input_batch_norm": True},
            },
            r"mnist\.nets\.l2\.objective: .*batch normalisation",
        ),
    ],
)
def test_wrong_names_and_values_show_before_any_work(
    parameters: dict[str, Any], path: str, value: object, complaint: str
) -> None:
    *folders, key = path.split(".")
    place = parameters["mnist"]
    for folder in folders:
        place = place[folder]
    place[key] = value
    with pytest.raises(InputError, match=complaint):
        check("mnist", experiments_of(parameters)["mnist"])


def test_a_key_that_nothing_reads_is_named_with_the_nearest_one(parameters: dict[str, Any]) -> None:
    assert stray_parameters(parameters) == []
    # an experiment that isn't listed today may be tomorrow
    assert stray_parameters({**parameters, "experiments": ["mnist"]}) == []
    parameters |= {"mnsit": {"training": {"epochs": 3}}, "experiment": ["mnist"], "zzz": 1}
    assert stray_parameters(parameters) == [
        "mnsit: is unknown; did you mean mnist?",
        "experiment: is unknown; did you mean experiments?",
        "zzz: is unknown",
    ]


def test_every_wrong_value_is_named_at_once(parameters: dict[str, Any]) -> None:
    mnist = parameters["mnist"]
    mnist["net"]["name"] = "resnet"
    mnist["nets"]["l1"]["uncertainty_set"]["radius"] = float("nan")
    mnist["nets"]["linf"]["uncertainty_set"]["name"] = "l7"
    mnist["adversarial_set"]["sets"]["l2"]["radius"] = 0.0
    with pytest.raises(InputError) as caught:
        check("mnist", experiments_of(parameters)["mnist"])
    message = str(caught.value)
    assert "\n" not in message
    for key in (
        "net.name",
        "nets.l1.uncertainty_set.radius",
        "nets.linf.uncertainty_set.name",
        "adversarial_set.sets.l2",
    ):
        assert f"mnist.{key}: " in message


@pytest.mark.parametrize(
    ("way", "options", "expected"),
    [
        # two values out of range, in either order
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "steps": 0, "relative_step": 0.0, "restarts": 0},
            ["steps is 0;", "restarts is 0;", "relative_step is 0.0;"],
        ),
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "restarts": -1, "relative_step": -1.0, "steps": 3},
            ["restarts is -1;", "relative_step is -1.0;"],
        ),
        # one of another type, one out of range
        (
            "nets.l2.uncertainty_set",
            {"name": "l2", "radius": -1.0, "step": "boxy"},
            ["step: ", "radius of 'l2' is -1.0;"],
        ),
        # a required one of another type, one out of range
        (
            "verification.full.attacks.fab_t",
            {"name": "fab_t", "steps": "many", "overshoot": 0.5, "backward": 2.0},
            ["steps: ", "overshoot is 0.5;", "backward is 2.0;"],
        ),
        # a name that it doesn't have, one out of range
        (
            "nets.l2.objective",
            {"name": "mixed", "alpha": 2.0, "alfa": 1.0, "label_smoothing": 1.5},
            ["alfa: is unknown", "alpha is 2.0;", "label_smoothing is 1.5;"],
        ),
        # one that is left out, which says nothing of the rest
        ("nets.l2.uncertainty_set", {"name": "l2"}, ["radius: is missing; 'l2' needs it"]),
        # or several; an inherited option that another one of its kind has can be dropped
        (
            "training.optimiser",
            {"name": "muon", "dampening": 0.1},
            ["dampening: is unknown to 'muon'; null leaves it out"],
        ),
        (
            "training.optimiser",
            {"name": "muon", "dampening": None},
            ["filter_learning_rate: is missing; 'muon' needs it", "learning_rate: is missing"],
        ),
        # what is wrong besides isn't the missing one misspelt
        (
            "training.optimiser",
            {"name": "muon", "learning_rate": "fast"},
            ["filter_learning_rate: is missing; 'muon' needs it", "learning_rate: "],
        ),
        # steps that can't leave the neighbourhood of the start
        (
            "nets.l2.maximiser",
            {"name": "projected_gradient", "steps": 2, "relative_step": 1e-6},
            ["2 steps of 1e-06 radii can't cross the ball"],
        ),
        (
            "verification.full.attacks.pgd_20",
            {"name": "pgd", "steps": 20, "relative_step": 0.04},
            ["20 steps of 0.04 radii can't cross the ball"],
        ),
        ("verification.full.attacks.apgd_ce", {"name": "apgd_ce", "rho": 75.0}, ["rho is 75.0;"]),
        # values that were inherited aren't blamed, nor the same one twice
        (
            "training.optimiser",
            {"name": "muon", "learning_rate": -1.0, "filter_learning_rate": 0.1, "momentum": 2.0},
            ["learning_rate is -1.0; it must be > 0; momentum is 2.0; it must be in [0, 1)"],
        ),
        (
            "training.optimiser",
            {"name": "muon", "learning_rate": "fast", "filter_learning_rate": 0.1, "momentum": 0.9},
            ["learning_rate: "],
        ),
        # a mistake of two options together is said once
        (
            "training.optimiser",
            {"name": "sgd", "learning_rate": 0.1, "dampening": 0.5, "momentum": 0.9},
            ["nesterov goes without dampening"],
        ),
    ],
)
def test_every_wrong_value_of_one_part_is_named_at_once(
    parameters: dict[str, Any], way: str, options: dict[str, Any], expected: list[str]
) -> None:
    *above, last = way.split(".")
    inner = parameters["mnist"]
    for key in above:
        inner = inner[key]
    inner[last] = options
    problems = [
        f"{key.removeprefix(f'mnist.{way}').lstrip('.')}: {complaint}".removeprefix(": ")
        for key, complaint in problems_of("mnist", experiments_of(parameters)["mnist"])
    ]
    assert len(problems) == len(expected), problems
    assert all(any(part in one for one in problems) for part in expected), problems


POINT = {"name": "point"}
BALL = {"name": "l2", "radius": 1.0}


@pytest.mark.parametrize(
    ("shared", "own", "uncertainty_set", "expected"),
    [
        ({"label_smoothing": 0.2}, {}, BALL, {"label_smoothing": 0.2}),
        (
            {"name": "mixed", "alpha": 0.3, "inner_mode": "eval"},
            {"alpha": 0.6},
            BALL,
            {"name": "mixed", "alpha": 0.6, "inner_mode": "eval"},
        ),
        (
            {"name": "mixed", "alpha": 0.3, "inner_mode": "eval"},
            {"name": "vat"},
            BALL,
            {"name": "vat", "inner_mode": "eval"},
        ),
        ({"name": "mixed", "alpha": 0.3, "inner_mode": "eval"}, {}, POINT, {"inner_mode": "eval"}),
        (
            {"name": "jacobian", "beta": 2.0},
            {"name": "jacobian"},
            POINT,
            {"name": "jacobian", "beta": 2.0},
        ),
    ],
)
def test_a_nets_objective_is_its_own_over_the_experiments(
    shared: dict[str, Any],
    own: dict[str, Any],
    uncertainty_set: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    net = Net(uncertainty_set=uncertainty_set, objective=own)
    assert objective_of(shared, net) == expected


def test_a_nets_training_is_the_experiments_with_entries_of_its_own() -> None:
    shared = {"epochs": 8, "optimiser": {"name": "muon", "momentum": 0.8}, "flips": False}
    assert training_of(shared, Net(uncertainty_set=BALL)) == shared
    own = Net(
        uncertainty_set=BALL,
        training={
            "optimiser": {"name": "sgd", "learning_rate": 1.0},
            "held_out": 10,
            "watch": {"steps": 7},
        },
    )
    assert training_of(shared, own) == {
        "epochs": 8,
        "optimiser": {"name": "sgd", "learning_rate": 1.0},
        "flips": False,
        "held_out": 10,
        "watch": {"steps": 7},
    }


def test_robust_nets_stand_beside_those_of_base_which_stay_as_they_are() -> None:
    base, robust = load("base"), load("robust")
    for name in ("mnist", "cifar"):
        for net, options in base[name]["nets"].items():
            assert robust[name]["nets"][net] == options
        for key in ("data", "seed", "net", "training", "objective", "adversarial_set"):
            assert robust[name][key] == base[name][key]
        experiment = experiments_of(robust)[name]
        full = experiment.verification.full
        assert set(full.norms) == {"linf"}
        assert set(full.autoattack) == {"linf_strong"}
        training = training_of(robust[name]["training"], experiment.nets["linf_strong"])
        assert training["watch"]["keep"] == "best"
    assert experiments_of(robust)["mnist"].verification.full.images == 10000


def test_what_needs_tangent_planes() -> None:
    tangent = Net(uncertainty_set={"name": "tangent", "radius": 1.0})
    penalised = Net(uncertainty_set=POINT, objective={"name": "manifold_tangent"})
    assert needs_tangent_planes({}, tangent)
    assert needs_tangent_planes({}, penalised)
    assert needs_tangent_planes({"name": "manifold_tangent"}, Net(uncertainty_set=BALL))
    assert not needs_tangent_planes({"name": "manifold_tangent"}, Net(uncertainty_set=POINT))


def test_null_drops_inherited_nets() -> None:
    parameters = load("base")
    parameters["cifar"]["nets"]["l2"] = parameters["cifar"]["paper"]["nets"]["l2"] = None
    parameters["cifar"]["objectives"]["nets"]["mixed"] = None
    parameters["mnist"]["readings"]["nets"]["l1_literal"] = None
    found = experiments_of(parameters)
    assert found["cifar"].nets_with("objectives.nets") == (
        *("baseline", "control", "linf"),
        *("l2_small", "linf_small"),
    )
    assert set(found["mnist"].readings.nets) == {
        *("l1_unclipped", "l2_unclipped", "l2_literal", "linf_unclipped")
    }


def test_the_baseline_cannot_be_dropped_nor_all_nets_of_a_comparison() -> None:
    parameters = load("base")
    parameters["cifar"]["nets"]["baseline"] = None
    nets = parameters["mnist"]["objectives"]["nets"]
    parameters["mnist"]["objectives"]["nets"] = dict.fromkeys(nets)
    with pytest.raises(InputError) as error:
        experiments_of(parameters)
    assert "cifar.nets.baseline: must be there" in str(error.value)
    assert "mnist.objectives.nets: " in str(error.value)


def test_the_authors_own_settings_drop_what_they_do_not_have() -> None:
    cifar = experiments_of(load("paper"))["cifar"]
    net = make_net(**cifar.net.model_dump())
    assert isinstance(net, VGG)
    assert sum(isinstance(module, nn.Dropout) for module in net.modules()) == 10
    descent = make_descent(
        net,
        steps=10,
        steps_per_epoch=1,
        schedule=cifar.training.schedule.model_dump(),
        **cifar.training.optimiser.model_dump(),
    )
    (optimiser,) = descent.optimisers
    (group,) = optimiser.param_groups
    chosen = {key: group[key] for key in ("lr", "momentum", "dampening", "nesterov")}
    assert chosen == {"lr": 1.0, "momentum": 0.9, "dampening": 0.9, "nesterov": False}
    assert group["weight_decay"] == 5e-4


def test_null_drops_radii_and_stored_nets_of_the_measurements_over_seeds(
    parameters: dict[str, Any],
) -> None:
    across = parameters["mnist"]["across_seeds"]
    across["steps"]["radii"]["l1"] = None
    across["transfer"]["also"] = {"mine": None}
    options = experiments_of(parameters)["mnist"].across_seeds
    assert options is not None
    assert list(options.steps.radii) == ["l2"]
    assert options.transfer.also == {}


@pytest.mark.parametrize("name", ["nan", "null"])
def test_a_net_that_tables_would_lose_is_refused(parameters: dict[str, Any], name: str) -> None:
    parameters["mnist"]["nets"][name] = {"uncertainty_set": {"name": "point"}}
    with pytest.raises(ConfigurationError, match=f"net '{name}' must be of lower-case"):
        experiments_of(parameters)
