"""Makes every part that an experiment's parameters name, so that mistakes show before long work starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from robustify.attacks import ATTACKS
from robustify.configuration import (
    POINT,
    WORST_CASE,
    Data,
    Depth,
    Experiment,
    Net,
    Training,
    architecture_of,
    needs_tangent_planes,
    objective_of,
    training_of,
)
from robustify.devices import choose_device
from robustify.errors import InputError
from robustify.ingestion.specification import Specification, specification_of
from robustify.maximisers import MAXIMISERS, make_maximiser
from robustify.nets import NETS, make_net
from robustify.objectives import OBJECTIVES, make_objective
from robustify.optimisers import OPTIMISERS, make_descent, make_schedule
from robustify.recipe import Recipe
from robustify.spelling import check_options
from robustify.uncertainty import SETS, NormBall, UncertaintySet, make_uncertainty_set
from robustify.verification.plan import make_plan

SCHEDULES = dict.fromkeys(("triangle", "halving", "constant"), make_schedule)


def check(name: str, experiment: Experiment) -> None:
    """Check that every name is known and every value in range.

    Args:
        name: of the experiment.
        experiment: its parameters.

    Raises:
        InputError: naming every parameter that is off, and what would be right.
    """
    try:
        specification = specification_of(experiment.data.name)
    except InputError as error:
        raise InputError(f"{name}.data: {error}") from error
    problems = []
    for key, part in _parts(experiment, specification):
        try:
            part()
        except InputError as error:
            problems.append(f"{name}.{key}: {error}")
    if problems:
        # several nets may share what is wrong
        raise InputError("; ".join(dict.fromkeys(problems)))


def _parts(
    experiment: Experiment, specification: Specification
) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "classes", partial(_check_classes, experiment.classes, specification)
    yield "data", partial(_check_sizes, experiment.data, specification)
    yield "device", partial(choose_device, experiment.device)
    yield "net", partial(_check_net, experiment.net.model_dump(), specification)
    yield "training", partial(_check_training, experiment.training, experiment.data, specification)
    for key, options in experiment.all_nets.values():
        if options.training is not None:
            own = _training_of(options, experiment)
            yield f"{key}.training", partial(_check_training, own, experiment.data, specification)
        yield key, partial(_check_member, options, experiment, specification)
        objective = f"{key}.objective" if options.objective else "objective"
        yield objective, partial(_check_objective, options, experiment)
    for norm, ball in experiment.adversarial_set.sets.items():
        yield f"adversarial_set.sets.{norm}", partial(_check_ball, norm, ball, specification)
    if experiment.across_seeds is not None:
        yield "across_seeds.transfer.also", partial(_check_also, experiment)
        for norm, ball in experiment.across_seeds.transfer.sets.items():
            key = f"across_seeds.transfer.sets.{norm}"
            yield key, partial(_check_ball, norm, ball, specification)
        for norm, radii in experiment.across_seeds.steps.radii.items():
            for radius in radii:
                key = f"across_seeds.steps.radii.{norm}"
                yield key, partial(_check_ball, norm, {"radius": radius}, specification)
    for name in ("brief", "full"):
        depth = getattr(experiment.verification, name)
        if depth is not None:
            yield f"verification.{name}", partial(_check_depth, depth, experiment, specification)


def _check_classes(names: list[str], specification: Specification) -> None:
    classes = len(specification.train_class_counts)
    if len(names) != classes:
        raise InputError(f"has {len(names)} names; {specification.name} has {classes} classes")


def _check_sizes(data: Data, specification: Specification) -> None:
    for part, wanted, counts in (
        ("training", data.training_images, specification.train_class_counts),
        ("test", data.test_images, specification.test_class_counts),
    ):
        if wanted is not None and wanted > sum(counts):
            raise InputError(
                f"{part}_images is {wanted}; {specification.name} has {sum(counts)}, all of which are used if it is left out"
            )


def _check_options(registry: Mapping[str, Callable[..., object]], part: Mapping[str, Any]) -> None:
    # null drops an inherited option
    options = {key: value for key, value in part.items() if value is not None and key != "name"}
    # an unknown name is refused, with the known ones, by whoever makes the part
    if part["name"] in registry:
        check_options(part["name"], registry[part["name"]], options)


def _check_net(architecture: Mapping[str, Any], specification: Specification) -> None:
    _check_options(NETS, architecture)
    net = make_net(**architecture).eval()
    try:
        net(torch.zeros(2, *specification.image_shape))
    except (RuntimeError, InputError) as error:
        raise InputError(
            f"{architecture['name']!r} takes no images of shape {specification.image_shape}, "
            f"which {specification.name} has"
        ) from error


def _training_of(options: Net, experiment: Experiment) -> Training:
    shared = experiment.training.model_dump(exclude_unset=True)
    return Training(**training_of(shared, options))


def _check_training(training: Training, data: Data, specification: Specification) -> None:
    Recipe.of(training.model_dump())
    classes = len(specification.train_class_counts)
    most = min(specification.train_class_counts) * classes
    if data.training_images is not None:
        most = min(most, data.training_images)
    if training.held_out >= most:
        raise InputError(
            f"held_out is {training.held_out}; there must be fewer than {most}, in equal parts of each class"
        )
    _check_options(OPTIMISERS, training.optimiser.model_dump())
    _check_options(SCHEDULES, training.schedule.model_dump())
    make_descent(
        nn.Conv2d(1, 1, 1),
        steps=1,
        steps_per_epoch=1,
        schedule=training.schedule.model_dump(),
        **training.optimiser.model_dump(),
    )


def _check_member(options: Net, experiment: Experiment, specification: Specification) -> None:
    _check_options(SETS, options.uncertainty_set.model_dump())
    _check_options(MAXIMISERS, options.maximiser.model_dump())
    uncertainty_set = make_uncertainty_set(**options.uncertainty_set.model_dump())
    _check_radius(uncertainty_set, specification)
    make_maximiser(**options.maximiser.model_dump())
    if options.net:
        _check_net(architecture_of(experiment.net.model_dump(), options), specification)
    if options.fed_back is not None:
        name, ball = options.fed_back.name, options.fed_back.model_dump(exclude={"name"})
        _check_ball(name, ball, specification)
    _check_watch(options, experiment, uncertainty_set, specification)
    if needs_tangent_planes(experiment.objective.model_dump(), options):
        _check_planes(options, experiment, specification)


def _check_watch(
    options: Net,
    experiment: Experiment,
    uncertainty_set: UncertaintySet,
    specification: Specification,
) -> None:
    try:
        recipe = Recipe.of(_training_of(options, experiment).model_dump())
    except InputError:
        # said of the training already
        return
    if recipe.held_out and options.fed_back is not None:
        raise InputError(
            "examples made of held-out images would be trained on; leave fed_back out or set training.held_out to 0"
        )
    if recipe.watch is not None:
        _check_radius(recipe.watch.ball_of(uncertainty_set), specification)


def _check_planes(options: Net, experiment: Experiment, specification: Specification) -> None:
    training = _training_of(options, experiment)
    if experiment.tangent_planes is None:
        raise InputError("needs the planes of the training images; give tangent_planes")
    if training.translation or training.flips or training.held_out or options.fed_back is not None:
        raise InputError(
            "tangent planes are those of the training images as they are; set training.translation and "
            "training.held_out to 0 and training.flips to false, and leave fed_back out"
        )
    smallest_class = min(specification.train_class_counts)
    if experiment.data.training_images is not None:
        classes = len(specification.train_class_counts)
        smallest_class = min(smallest_class, experiment.data.training_images // classes)
    if experiment.tangent_planes.neighbours >= smallest_class:
        raise InputError(
            f"tangent_planes.neighbours is {experiment.tangent_planes.neighbours}; the smallest class has no more than "
            f"{smallest_class} images, and none is its own neighbour"
        )


# parts of an objective that other parameters and the data decide
_NOT_CONFIGURED = ("uncertainty_set", "maximiser", "bases")


def _check_objective(options: Net, experiment: Experiment) -> None:
    try:
        uncertainty_set = make_uncertainty_set(**options.uncertainty_set.model_dump())
        maximiser = make_maximiser(**options.maximiser.model_dump())
        net = make_net(**architecture_of(experiment.net.model_dump(), options))
    except InputError:
        # said of the net or its set already
        return
    chosen = objective_of(experiment.objective.model_dump(), options)
    name = chosen.pop("name", WORST_CASE)
    if name in OBJECTIVES:
        check_options(name, OBJECTIVES[name], chosen, given=_NOT_CONFIGURED)
    objective = make_objective(name, uncertainty_set=uncertainty_set, maximiser=maximiser, **chosen)
    objective.check(net)


def _check_ball(norm: str, ball: dict[str, Any], specification: Specification) -> None:
    if norm in SETS:
        check_options(norm, SETS[norm], ball)
    attacked = make_uncertainty_set(norm, **ball)
    if not isinstance(attacked, NormBall):
        raise InputError("is no norm ball; it moves nothing")
    _check_radius(attacked, specification)


def _check_also(experiment: Experiment) -> None:
    if experiment.across_seeds is None:
        return
    twice = sorted(experiment.across_seeds.transfer.also.keys() & experiment.all_nets.keys())
    if twice:
        raise InputError(
            f"{', '.join(twice)}: the experiment's own net has that name; choose another"
        )


def _check_depth(depth: Depth, experiment: Experiment, specification: Specification) -> None:
    for name in depth.autoattack:
        if name not in experiment.nets:
            known = ", ".join(experiment.nets)
            raise InputError(f"autoattack names net {name!r}, which isn't there; known: {known}")
    for attack in depth.attacks.values():
        _check_options(ATTACKS, attack.model_dump())
    for name in experiment.nets:
        plan = make_plan(
            experiment.verification,
            depth,
            net=name,
            # the net's own set is checked with the net
            uncertainty_set={"name": POINT},
        )
        for ball in plan.every_ball():
            _check_radius(ball, specification)


def _check_radius(uncertainty_set: UncertaintySet, specification: Specification) -> None:
    dimensions = math.prod(specification.image_shape)
    diameter = {
        "l1": float(dimensions),
        "l2": dimensions**0.5,
        "linf": 1.0,
        "tangent": dimensions**0.5,
    }
    largest = diameter.get(uncertainty_set.name)
    if largest is not None and uncertainty_set.radius > largest:
        raise InputError(
            f"radius is {uncertainty_set.radius}; the pixel box [0, 1] is only {largest:.6g} across"
        )
