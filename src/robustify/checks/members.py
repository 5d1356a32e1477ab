"""What sets one net apart: its set, maximiser, objective, training, and whether they go together."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from robustify.checks.balls import problems_of_ball, require_room
from robustify.checks.climbing import problems_of_climbing
from robustify.checks.complaints import Options, Problems, problem_of, problems_of_part
from robustify.checks.subject import Subject
from robustify.checks.trainings import problems_of_net, problems_of_training, without_memory
from robustify.configuration import (
    WORST_CASE,
    Net,
    Training,
    architecture_of,
    needs_tangent_planes,
    objective_of,
    training_of,
)
from robustify.errors import InputError
from robustify.maximisers import MAXIMISERS, make_maximiser
from robustify.objectives import OBJECTIVES, make_objective
from robustify.training.recipe import Recipe
from robustify.uncertainty import SETS, make_uncertainty_set

# parts of an objective that other parameters and the data decide
_NOT_CONFIGURED = ("uncertainty_set", "maximiser", "bases")


def problems_of_member(subject: Subject, key: str, net: Net) -> Problems:
    """Yield what is wrong with one net of the experiment, but for what is wrong with the experiment itself.

    Args:
        subject: whose parameters they are.
        key: of the net.
        net: its parameters.
    """
    architecture = architecture_of(subject.experiment.net.model_dump(), net)
    if net.training is not None or "name" in net.net:
        shared = set(
            problems_of_training(
                subject,
                "training",
                subject.experiment.training,
                subject.experiment.net.model_dump(),
            )
        )
        for below, complaint in problems_of_training(
            subject, "training", _training_of(subject, net), architecture
        ):
            if (below, complaint) not in shared:
                yield f"{key}.{below}", complaint
    of_set = [
        *_uncertainty_set(subject, f"{key}.uncertainty_set", net.uncertainty_set.model_dump())
    ]
    maximiser = net.maximiser.model_dump()
    of_maximiser = problems_of_climbing(f"{key}.maximiser", MAXIMISERS, maximiser, make_maximiser)
    yield from (*of_set, *of_maximiser)
    if net.net:
        yield from problems_of_net(subject, f"{key}.net", architecture)
    if net.fed_back is not None:
        name, ball = net.fed_back.name, net.fed_back.model_dump(exclude={"name"})
        yield from problems_of_ball(subject, f"{key}.fed_back", name, ball)
    if not of_set:
        yield from problem_of(key, partial(_watch, subject, net))
    if needs_tangent_planes(subject.experiment.objective.model_dump(), net):
        yield from problem_of(key, partial(_planes, subject, net))
    if not of_set and not of_maximiser:
        yield from _objective(subject, f"{key}.objective" if net.objective else "objective", net)


def _training_of(subject: Subject, net: Net) -> Training:
    shared = subject.experiment.training.model_dump(exclude_unset=True)
    return Training(**training_of(shared, net))


def _uncertainty_set(subject: Subject, key: str, options: Mapping[str, Any]) -> Problems:
    def make(options: Options) -> None:
        require_room(subject, make_uncertainty_set(**options))

    yield from problems_of_part(key, SETS, options, make)


def _watch(subject: Subject, net: Net) -> None:
    try:
        recipe = Recipe.of(_training_of(subject, net).model_dump())
    except InputError:
        # said of the training already
        return
    uncertainty_set = make_uncertainty_set(**net.uncertainty_set.model_dump())
    if recipe.held_out and net.fed_back is not None:
        raise InputError(
            "examples made of held-out images would be trained on; leave fed_back out or set training.held_out to 0"
        )
    if recipe.watch is not None:
        require_room(subject, recipe.watch.ball_of(uncertainty_set), name="training.watch.epsilon")


def _planes(subject: Subject, net: Net) -> None:
    training, planes = _training_of(subject, net), subject.experiment.tangent_planes
    if planes is None:
        raise InputError("needs the planes of the training images; give tangent_planes")
    if training.translation or training.flips or training.held_out or net.fed_back is not None:
        raise InputError(
            "tangent planes are those of the training images as they are; set training.translation and "
            "training.held_out to 0 and training.flips to false, and leave fed_back out"
        )
    if subject.data is None:
        return
    smallest_class = subject.data.images_of_every_class(subject.experiment.data.training_images)
    if planes.neighbours >= smallest_class:
        raise InputError(
            f"tangent_planes.neighbours is {planes.neighbours}; of the smallest class no more than "
            f"{smallest_class} images are sure to be there, and none is its own neighbour"
        )


def _objective(subject: Subject, key: str, net: Net) -> Problems:
    def make(options: Options) -> None:
        objective = make_objective(
            uncertainty_set=make_uncertainty_set(**net.uncertainty_set.model_dump()),
            maximiser=make_maximiser(**net.maximiser.model_dump()),
            **options,
        )
        try:
            trained = without_memory(architecture_of(subject.experiment.net.model_dump(), net))
        except InputError:
            # said of the net already
            return
        objective.check(trained)
        if _training_of(subject, net).compile:
            objective.require_compilable()

    chosen = objective_of(subject.experiment.objective.model_dump(), net)
    options = {"name": WORST_CASE, **chosen}
    yield from problems_of_part(key, OBJECTIVES, options, make, given=_NOT_CONFIGURED)
