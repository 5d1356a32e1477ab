"""Makes every part that an experiment's parameters name, so that mistakes show before long work starts."""

from __future__ import annotations

from functools import partial

from robustify.attacks import ATTACKS, make_attack
from robustify.checks.balls import problems_of_ball, problems_of_balls
from robustify.checks.climbing import problems_of_climbing
from robustify.checks.complaints import Problems, problem_of
from robustify.checks.members import problems_of_member
from robustify.checks.spelling import did_you_mean
from robustify.checks.subject import Subject
from robustify.checks.trainings import problems_of_net, problems_of_training
from robustify.checks.twins import twins
from robustify.configuration import Depth, Experiment
from robustify.ingestion.specification import specification_of
from robustify.machine.devices import choose_device
from robustify.verification.gates import FEWEST_IMAGES


def problems_of(name: str, experiment: Experiment) -> list[tuple[str, str]]:
    """Make every part that the parameters name; return each parameter that is off, by its path, and what would be right.

    Args:
        name: of the experiment.
        experiment: its parameters.
    """
    found = _problems(Subject.of(experiment))
    # several nets may share what is wrong
    return list(dict.fromkeys((f"{name}.{key}", complaint) for key, complaint in found))


def _problems(subject: Subject) -> Problems:
    """Yield everything that is wrong."""
    experiment = subject.experiment
    yield from problem_of("data.name", partial(specification_of, experiment.data.name))
    yield from _classes(subject)
    yield from _sizes(subject)
    yield from problem_of("device", partial(choose_device, experiment.device))
    architecture = experiment.net.model_dump()
    yield from problems_of_net(subject, "net", architecture)
    yield from problems_of_training(subject, "training", experiment.training, architecture)
    for key, net in experiment.all_nets.values():
        yield from problems_of_member(subject, key, net)
    if subject.data is not None:
        yield from twins(experiment)
    for norm, ball in experiment.adversarial_set.sets.items():
        yield from problems_of_ball(subject, f"adversarial_set.sets.{norm}", norm, ball)
    for epsilon in filter(None, experiment.evaluation.epsilons):
        yield from problems_of_ball(subject, "evaluation.epsilons", "linf", {"radius": epsilon})
    yield from _across_seeds(subject)
    for name in ("brief", "full"):
        depth = getattr(experiment.verification, name)
        if depth is not None:
            yield from _depth(subject, f"verification.{name}", depth)
            if experiment.verification.on_failure == "raise":
                yield from _gates(f"verification.{name}", depth)


def _classes(subject: Subject) -> Problems:
    names = len(subject.experiment.classes)
    if subject.data is not None and names != len(subject.data.train_class_counts):
        classes = len(subject.data.train_class_counts)
        yield "classes", f"has {names} names; {subject.data.name} has {classes} classes"


def _sizes(subject: Subject) -> Problems:
    if subject.data is None:
        return
    chosen = subject.experiment.data
    for part, wanted, counts in (
        ("training", chosen.training_images, subject.data.train_class_counts),
        ("test", chosen.test_images, subject.data.test_class_counts),
    ):
        if wanted is not None and wanted > sum(counts):
            yield (
                f"data.{part}_images",
                f"is {wanted}; {subject.data.name} has {sum(counts)}, all of which are used if it is left out",
            )


def _across_seeds(subject: Subject) -> Problems:
    chosen = subject.experiment.across_seeds
    if chosen is None:
        return
    for name in chosen.transfer.also:
        if name in subject.experiment.all_nets:
            yield (
                f"across_seeds.transfer.also.{name}",
                "the experiment's own net has that name; choose another",
            )
    for norm, ball in chosen.transfer.sets.items():
        yield from problems_of_ball(subject, f"across_seeds.transfer.sets.{norm}", norm, ball)
    yield from problems_of_balls(subject, "across_seeds.steps.radii", chosen.steps.radii)


def _gates(key: str, depth: Depth) -> Problems:
    """Gates that look at too few images fail for that alone, which a run that they stop should say first."""
    for below, images in (("images", depth.images), ("gates.images", depth.gates.images)):
        if images < FEWEST_IMAGES:
            yield (
                f"{key}.{below}",
                f"is {images}; on fewer than {FEWEST_IMAGES} the sanity gates fail, and verification.on_failure is raise",
            )


def _depth(subject: Subject, key: str, depth: Depth) -> Problems:
    yield from problems_of_balls(subject, f"{key}.norms", depth.norms)
    for name, attack in depth.attacks.items():
        options = attack.model_dump()
        yield from problems_of_climbing(f"{key}.attacks.{name}", ATTACKS, options, make_attack)
    for net, ball in depth.autoattack.items():
        if net not in subject.experiment.nets:
            near = did_you_mean(net, subject.experiment.nets)
            known = ", ".join(subject.experiment.nets)
            yield (
                f"{key}.autoattack.{net}",
                f"is no net of the experiment{near}; known: {known}",
            )
        yield from problems_of_ball(
            subject, f"{key}.autoattack.{net}", ball.norm, {"radius": ball.epsilon}
        )
