"""The command that makes a stored verification again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustify.checks.parameters import experiments_of
from robustify.configuration import ALL_ATTACKS, Experiment
from robustify.loader import CONFIG_LOADER_ARGS, ReadableConfigLoader
from robustify.recipes import first_difference
from robustify.verified_results.entries import ball_of

# the experiments of every configuration
Environments = dict[str, dict[str, Experiment]]


def environments_of(conf: Path) -> Environments:
    """Return the experiments of every configuration, ``base`` first."""
    names = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
    ordered = ["base", *(name for name in names if name not in ("base", "local"))]
    return {
        name: experiments_of(
            ReadableConfigLoader(str(conf), env=name, **CONFIG_LOADER_ARGS)["parameters"]
        )
        for name in ordered
    }


def that_write(environment: str, environments: Environments) -> Environments:
    """Return what writes into this environment's folder, or, if it is empty, into none of its own."""
    if environment:
        return {environment: environments[environment]}
    return {
        name: {each: one for each, one in experiments.items() if not one.folder}
        for name, experiments in environments.items()
    }


def command_of(
    experiment: str,
    net: str,
    found: Mapping[str, Any],
    environments: Environments,
) -> str | None:
    """Return what makes this verification again, by a configuration as it stands or on another number of images."""
    images: int = found["images"]
    for besides in ("", f" --params={experiment}.verification.full.images={images}"):
        for name, experiments in environments.items():
            if experiment in experiments and _makes(
                experiments[experiment], net, found, images=images if besides else None
            ):
                chosen = "" if name == "base" else f" --env={name}"
                return (
                    f"kedro run --pipeline={experiment}_verification"
                    f" --namespaces={experiment}.{net}_full_verification{chosen}{besides}"
                )
    return None


def _makes(
    experiment: Experiment, net: str, found: Mapping[str, Any], *, images: int | None
) -> bool:
    """Return whether the experiment's full verification of its net is this one, on its own number of images or on those given."""
    from robustify.verification import make_plan

    depth = experiment.verification.full
    if depth is None or net not in experiment.nets:
        return False
    uncertainty_set = experiment.nets[net].uncertainty_set.model_dump()
    plan = make_plan(experiment.verification, depth, net=net, uncertainty_set=uncertainty_set)
    planned = {
        (ball.name, ball.radius, attack)
        for ball in plan.every_ball()
        for attack in plan.attacks_in(ball)
    }
    measured = {(*ball_of(row), row["attack"]) for row in found["measured"]}
    asked = images or depth.images
    # an earlier version stored of a net's training no more than its set
    trained = found.get("trained", {"uncertainty_set": found["uncertainty_set"]})
    return (
        first_difference(trained, experiment.model_dump(exclude_unset=True), experiment.nets[net])
        is None
        and found["attacks"] == {name: one.model_dump() for name, one in depth.attacks.items()}
        and min(asked, experiment.data.test_images or asked) == found["images"]
        and planned == {entry for entry in measured if entry[2] != ALL_ATTACKS}
    )
