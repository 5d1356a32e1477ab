"""The work that the benchmarks measure: the project's own data, settings, nets and training steps."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.ingestion.acquisition import acquire
from robustify.maximisers import Maximiser, SteepestAscent
from robustify.nets import make_net
from robustify.objectives import InnerMode, WorstCase
from robustify.training.course import Course
from robustify.training.recipe import Recipe
from robustify.uncertainty import Point, make_uncertainty_set

PROJECT = Path(__file__).resolve().parents[1]
DATA_OF = {"cifar": "cifar10", "mnist": "mnist"}
# more than any benchmark trains, so that a course never ends by itself
ENDLESS = 10_000
PEERS_MISSING = (
    "not importable: {names}; skipped. benchmarks/make_peers.sh makes an environment that has them; "
    "run this script with its .venv-peers/bin/python"
)


@dataclass(frozen=True)
class Images:
    """Training and test images of one data set, uint8, shape (N, C, H, W), and their classes."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def load_images(experiment: str, *, train: int | None = None, test: int | None = None) -> Images:
    """Return the first images of the experiment's genuine data set.

    Args:
        experiment: ``cifar`` or ``mnist``.
        train: number of training images; all if left out.
        test: number of test images; all if left out.

    Raises:
        InputError: if there are fewer than that.
    """
    found = acquire(DATA_OF[experiment], raw_directory=PROJECT / "data" / "01_raw").tensors
    for part, wanted in (("train", train), ("test", test)):
        there = len(found[f"{part}_images"])
        if wanted is not None and wanted > there:
            raise InputError(
                f"this asks for {wanted:,} images to {part} on and {experiment} has {there:,}; take fewer images, rounds or steps"
            )
    return Images(
        found["train_images"][:train],
        found["train_labels"][:train],
        found["test_images"][:test],
        found["test_labels"][:test],
    )


def settings_of(experiment: str, *environments: str) -> dict[str, Any]:
    """Return the experiment's parameters as they stand in ``conf/base``, changed by those of other environments."""
    OmegaConf.register_new_resolver("of_255", lambda levels: levels / 255, replace=True)
    files = [
        PROJECT / "conf" / environment / f"parameters_{experiment}.yml"
        for environment in ("base", *environments)
    ]
    merged = cast(DictConfig, OmegaConf.merge(*(OmegaConf.load(file) for file in files)))
    return cast(dict[str, Any], OmegaConf.to_container(merged[experiment], resolve=True))


def make_course(
    experiment: str,
    images: Tensor,
    labels: Tensor,
    *,
    device: torch.device,
    member: str = "baseline",
    net: nn.Module | None = None,
    maximiser: Maximiser | None = None,
    inner_mode: InnerMode | None = None,
    training: dict[str, Any] | None = None,
) -> Course:
    """Return a training of the experiment's net by its own recipe, without an end.

    Args:
        experiment: ``cifar`` or ``mnist``.
        images: training images, uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        device: where to train.
        member: whose uncertainty set is trained on: ``baseline`` (the point), ``l2``, ``linf``.
        net: another net, not yet initialised.
        maximiser: what looks for the worst input; one steepest-ascent step if left out.
        inner_mode: the net's mode meanwhile; the experiment's own if left out.
        training: settings that replace the recipe's.
    """
    settings = settings_of(experiment)
    objective = WorstCase(
        uncertainty_set=make_uncertainty_set(**settings["nets"][member]["uncertainty_set"]),
        maximiser=maximiser or SteepestAscent(),
        label_smoothing=settings["objective"]["label_smoothing"],
        inner_mode=inner_mode or settings["objective"]["inner_mode"],
    )
    recipe = {**settings["training"], "epochs": ENDLESS, **(training or {})}
    return Course(
        net or make_net(**settings["net"]),
        images,
        labels,
        objective=objective,
        recipe=Recipe(**recipe),
        seed=settings["seed"],
        device=device,
    )


def run_epoch(course: Course) -> None:
    """Train one epoch: augmentation, every step, no evaluation."""
    for _ in course.descend():
        pass
    course.close_epoch(lambda net: 0.0)


def steps_of(course: Course, count: int) -> Callable[[], None]:
    """Return a call that takes that many steps more of an epoch that never ends.

    The epoch must be long enough; its augmentation is part of the first call.
    """
    going = course.descend()

    def advance() -> None:
        if sum(1 for _ in islice(going, count)) < count:
            raise RuntimeError("the epoch is over; give the course more images")

    return advance


def fresh_net(experiment: str, images: Tensor, device: torch.device) -> nn.Module:
    """Return the experiment's net with its first weights, in eval mode."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    objective = WorstCase(uncertainty_set=Point(), maximiser=SteepestAscent())
    net = make_net(**settings_of(experiment)["net"])
    recipe = Recipe(**settings_of(experiment)["training"])
    Course(net, images, labels, objective=objective, recipe=recipe, seed=0, device=device)
    return net.eval()


def own_command(script: str, *arguments: str) -> list[str]:
    """Return the command that runs a benchmark script in a process of its own."""
    return [sys.executable, str(Path(script).resolve()), *arguments]
