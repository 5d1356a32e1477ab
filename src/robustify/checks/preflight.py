"""Makes every part that an experiment's parameters name, so that mistakes show before long work starts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from robustify.attacks import ATTACKS, Attack, Pgd, make_attack
from robustify.checks.complaints import Options, Problems, problem_of, problems_of_part
from robustify.checks.spelling import did_you_mean
from robustify.checks.twins import twins
from robustify.configuration import (
    WORST_CASE,
    Depth,
    Experiment,
    Net,
    Training,
    architecture_of,
    needs_tangent_planes,
    objective_of,
    training_of,
)
from robustify.errors import InputError, shown
from robustify.ingestion.specification import (
    Specification,
    images_asked_for,
    specification_of,
)
from robustify.limits import require_reach
from robustify.machine.devices import choose_device
from robustify.maximisers import MAXIMISERS, Maximiser, ProjectedGradient, make_maximiser
from robustify.nets import NETS, make_net
from robustify.objectives import OBJECTIVES, make_objective
from robustify.training.optimisers import OPTIMISERS, make_descent
from robustify.training.recipe import Recipe
from robustify.training.schedules import SCHEDULES, make_schedule
from robustify.uncertainty import (
    SETS,
    L2Ball,
    NormBall,
    TangentBall,
    UncertaintySet,
    make_uncertainty_set,
)

_BALLS = {name: kind for name, kind in SETS.items() if issubclass(kind, NormBall)}
# parts of an objective that other parameters and the data decide
_NOT_CONFIGURED = ("uncertainty_set", "maximiser", "bases")


def problems_of(name: str, experiment: Experiment) -> list[tuple[str, str]]:
    """Make every part that the parameters name; return each parameter that is off, by its path, and what would be right.

    Args:
        name: of the experiment.
        experiment: its parameters.
    """
    found = _Preflight.of(experiment).problems()
    # several nets may share what is wrong
    return list(dict.fromkeys((f"{name}.{key}", complaint) for key, complaint in found))


@dataclass(frozen=True)
class _Preflight:
    """One experiment's check; what depends on unknown data is left out."""

    experiment: Experiment
    data: Specification | None

    @classmethod
    def of(cls, experiment: Experiment) -> _Preflight:
        try:
            return cls(experiment, specification_of(experiment.data.name))
        except InputError:
            return cls(experiment, None)

    def problems(self) -> Problems:
        """Yield everything that is wrong."""
        experiment = self.experiment
        yield from problem_of("data.name", partial(specification_of, experiment.data.name))
        yield from self._classes()
        yield from self._sizes()
        yield from problem_of("device", partial(choose_device, experiment.device))
        architecture = experiment.net.model_dump()
        yield from self._net("net", architecture)
        yield from self._training("training", experiment.training, architecture)
        for key, net in experiment.all_nets.values():
            yield from self._member(key, net)
        if self.data is not None:
            yield from twins(experiment)
        for norm, ball in experiment.adversarial_set.sets.items():
            yield from self._ball(f"adversarial_set.sets.{norm}", norm, ball)
        for epsilon in filter(None, experiment.evaluation.epsilons):
            yield from self._ball("evaluation.epsilons", "linf", {"radius": epsilon})
        yield from self._across_seeds()
        for name in ("brief", "full"):
            depth = getattr(experiment.verification, name)
            if depth is not None:
                yield from self._depth(f"verification.{name}", depth)

    def _classes(self) -> Problems:
        names = len(self.experiment.classes)
        if self.data is not None and names != len(self.data.train_class_counts):
            classes = len(self.data.train_class_counts)
            yield "classes", f"has {names} names; {self.data.name} has {classes} classes"

    def _sizes(self) -> Problems:
        if self.data is None:
            return
        chosen = self.experiment.data
        for part, wanted, counts in (
            ("training", chosen.training_images, self.data.train_class_counts),
            ("test", chosen.test_images, self.data.test_class_counts),
        ):
            if wanted is not None and wanted > sum(counts):
                yield (
                    f"data.{part}_images",
                    f"is {wanted}; {self.data.name} has {sum(counts)}, all of which are used if it is left out",
                )

    def _net(self, key: str, architecture: Mapping[str, Any]) -> Problems:
        yield from problems_of_part(key, NETS, architecture, self._see_images, null_drops=True)

    def _see_images(self, architecture: Mapping[str, Any]) -> None:
        net = _without_memory(architecture)
        if self.data is None:
            return
        try:
            net(torch.zeros(2, *self.data.image_shape, device="meta"))
        except (RuntimeError, InputError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{architecture['name']!r} takes no images of shape {self.data.image_shape}, "
                f"which {self.data.name} has ({reason})"
            ) from error

    def _training(self, key: str, training: Training, architecture: Mapping[str, Any]) -> Problems:
        yield from problem_of(key, partial(Recipe.of, training.model_dump()))

        def descend(optimiser: Options) -> None:
            try:
                net = _without_memory(architecture)
            except InputError:
                # said of the net already
                net = nn.Conv2d(1, 1, 1)
            make_descent(net, steps=1, steps_per_epoch=1, **optimiser)

        def fall(schedule: Options) -> None:
            make_schedule(steps=1, steps_per_epoch=1, **_without_null(schedule))

        yield from problems_of_part(
            f"{key}.optimiser",
            OPTIMISERS,
            training.optimiser.model_dump(),
            descend,
            null_drops=True,
        )
        yield from problems_of_part(
            f"{key}.schedule",
            SCHEDULES,
            training.schedule.model_dump(),
            fall,
            given=("name", "steps", "steps_per_epoch"),
            null_drops=True,
        )
        if self.data is None:
            return
        classes = len(self.data.train_class_counts)
        most = min(self.data.train_class_counts) * classes
        if self.experiment.data.training_images is not None:
            most = min(most, self.experiment.data.training_images)
        if training.held_out >= most:
            yield (
                f"{key}.held_out",
                f"is {training.held_out}; there must be fewer than {most}, in equal parts of each class",
            )
        else:
            yield from self._last_batch(key, training, architecture)
        side = min(self.data.image_shape[1:])
        if training.translation >= side:
            yield (
                f"{key}.translation",
                f"is {training.translation}; images of {self.data.name} are {side} pixels wide, so at most {side - 1}",
            )

    def _last_batch(
        self, key: str, training: Training, architecture: Mapping[str, Any]
    ) -> Problems:
        """A batch of one image has no variance that batch normalisation could divide features by."""
        if self.data is None:
            return
        trained_on = images_asked_for(self.experiment.data)[0] - training.held_out
        if (trained_on - 1) % training.batch_size != 0:
            return
        try:
            net = _without_memory(architecture).train()
            net(torch.zeros(1, *self.data.image_shape, device="meta"))
        except (InputError, RuntimeError):
            # said of the net already
            return
        except ValueError:
            yield (
                f"{key}.batch_size",
                (
                    f"is {training.batch_size}, which leaves a single one of {trained_on} images for the last batch; "
                    if training.batch_size > 1
                    else "is 1; "
                )
                + f"{architecture['name']!r} normalises over a batch, so choose another",
            )

    def _training_of(self, net: Net) -> Training:
        shared = self.experiment.training.model_dump(exclude_unset=True)
        return Training(**training_of(shared, net))

    def _member(self, key: str, net: Net) -> Problems:
        architecture = architecture_of(self.experiment.net.model_dump(), net)
        if net.training is not None or "name" in net.net:
            shared = set(
                self._training(
                    "training", self.experiment.training, self.experiment.net.model_dump()
                )
            )
            for below, complaint in self._training(
                "training", self._training_of(net), architecture
            ):
                if (below, complaint) not in shared:
                    yield f"{key}.{below}", complaint
        of_set = [
            *self._uncertainty_set(f"{key}.uncertainty_set", net.uncertainty_set.model_dump())
        ]
        maximiser = net.maximiser.model_dump()
        of_maximiser = _climbing(f"{key}.maximiser", MAXIMISERS, maximiser, make_maximiser)
        yield from (*of_set, *of_maximiser)
        if net.net:
            yield from self._net(f"{key}.net", architecture)
        if net.fed_back is not None:
            name, ball = net.fed_back.name, net.fed_back.model_dump(exclude={"name"})
            yield from self._ball(f"{key}.fed_back", name, ball)
        if not of_set:
            yield from problem_of(key, partial(self._watch, net))
        if needs_tangent_planes(self.experiment.objective.model_dump(), net):
            yield from problem_of(key, partial(self._planes, net))
        if not of_set and not of_maximiser:
            yield from self._objective(f"{key}.objective" if net.objective else "objective", net)

    def _uncertainty_set(self, key: str, options: Mapping[str, Any]) -> Problems:
        def make(options: Options) -> None:
            self._require_radius_in_box(make_uncertainty_set(**options))

        yield from problems_of_part(key, SETS, options, make)

    def _watch(self, net: Net) -> None:
        try:
            recipe = Recipe.of(self._training_of(net).model_dump())
        except InputError:
            # said of the training already
            return
        uncertainty_set = make_uncertainty_set(**net.uncertainty_set.model_dump())
        if recipe.held_out and net.fed_back is not None:
            raise InputError(
                "examples made of held-out images would be trained on; leave fed_back out or set training.held_out to 0"
            )
        if recipe.watch is not None:
            self._require_radius_in_box(recipe.watch.ball_of(uncertainty_set))

    def _planes(self, net: Net) -> None:
        training, planes = self._training_of(net), self.experiment.tangent_planes
        if planes is None:
            raise InputError("needs the planes of the training images; give tangent_planes")
        if training.translation or training.flips or training.held_out or net.fed_back is not None:
            raise InputError(
                "tangent planes are those of the training images as they are; set training.translation and "
                "training.held_out to 0 and training.flips to false, and leave fed_back out"
            )
        if self.data is None:
            return
        smallest_class = min(self.data.train_class_counts)
        if self.experiment.data.training_images is not None:
            classes = len(self.data.train_class_counts)
            smallest_class = min(smallest_class, self.experiment.data.training_images // classes)
        if planes.neighbours >= smallest_class:
            raise InputError(
                f"tangent_planes.neighbours is {planes.neighbours}; the smallest class has no more than "
                f"{smallest_class} images, and none is its own neighbour"
            )

    def _objective(self, key: str, net: Net) -> Problems:
        def make(options: Options) -> None:
            objective = make_objective(
                uncertainty_set=make_uncertainty_set(**net.uncertainty_set.model_dump()),
                maximiser=make_maximiser(**net.maximiser.model_dump()),
                **options,
            )
            try:
                trained = _without_memory(architecture_of(self.experiment.net.model_dump(), net))
            except InputError:
                # said of the net already
                return
            objective.check(trained)
            if self._training_of(net).compile:
                objective.require_compilable()

        chosen = objective_of(self.experiment.objective.model_dump(), net)
        options = {"name": WORST_CASE, **chosen}
        yield from problems_of_part(key, OBJECTIVES, options, make, given=_NOT_CONFIGURED)

    def _across_seeds(self) -> Problems:
        chosen = self.experiment.across_seeds
        if chosen is None:
            return
        for name in chosen.transfer.also:
            if name in self.experiment.all_nets:
                yield (
                    f"across_seeds.transfer.also.{name}",
                    "the experiment's own net has that name; choose another",
                )
        for norm, ball in chosen.transfer.sets.items():
            yield from self._ball(f"across_seeds.transfer.sets.{norm}", norm, ball)
        yield from self._balls("across_seeds.steps.radii", chosen.steps.radii)

    def _depth(self, key: str, depth: Depth) -> Problems:
        yield from self._balls(f"{key}.norms", depth.norms)
        for name, attack in depth.attacks.items():
            options = attack.model_dump()
            yield from _climbing(f"{key}.attacks.{name}", ATTACKS, options, make_attack)
        for net, ball in depth.autoattack.items():
            if net not in self.experiment.nets:
                near = did_you_mean(net, self.experiment.nets)
                known = ", ".join(self.experiment.nets)
                yield (
                    f"{key}.autoattack.{net}",
                    f"is no net of the experiment{near}; known: {known}",
                )
            yield from self._ball(f"{key}.autoattack.{net}", ball.norm, {"radius": ball.epsilon})

    def _balls(self, key: str, radii: Mapping[Any, list[float]]) -> Problems:
        for norm, all_ in radii.items():
            for radius in all_:
                yield from self._ball(f"{key}.{norm}", norm, {"radius": radius})

    def _ball(self, key: str, norm: str, ball: Mapping[str, Any]) -> Problems:
        if norm in SETS and norm not in _BALLS:
            yield key, f"{norm!r} is no norm ball; known: {', '.join(_BALLS)}"
            return

        def make(options: Options) -> None:
            self._require_radius_in_box(make_uncertainty_set(**options))

        yield from problems_of_part(key, _BALLS, {"name": norm, **ball}, make)

    def _require_radius_in_box(self, uncertainty_set: UncertaintySet) -> None:
        if self.data is None:
            return
        dimensions = math.prod(self.data.image_shape)
        if isinstance(uncertainty_set, NormBall):
            largest = uncertainty_set.box_diameter(dimensions)
        elif isinstance(uncertainty_set, TangentBall):
            largest = L2Ball.box_diameter(dimensions)
        else:
            return
        if uncertainty_set.radius > largest:
            raise InputError(
                f"radius is {uncertainty_set.radius}; the pixel box [0, 1] is only {largest:.6g} across"
            )


def _climbing(
    key: str,
    registry: Mapping[str, Callable[..., object]],
    options: Options,
    make: Callable[..., Maximiser | Attack],
) -> list[tuple[str, str]]:
    """Return what is wrong with the options of a maximiser or an attack; its steps must be able to cross the ball."""
    problems = [*problems_of_part(key, registry, options, lambda some: make(**some))]
    if problems:
        return problems
    part = make(**options)
    try:
        if isinstance(part, ProjectedGradient | Pgd):
            require_reach(part.steps, part.relative_step)
    except InputError as error:
        return [(key, str(error))]
    return []


def _without_memory(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the net with weights that take no memory: what it could be trained with, its first node finds out."""
    name = architecture.get("name")
    if not isinstance(name, str):
        raise InputError(f"{shown(name)} names no net")
    with torch.device("meta"):
        return make_net(**architecture).eval()


def _without_null(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}
