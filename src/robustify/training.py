"""Algorithm 1: an ascent step on the inputs, a descent step on the weights, batch by batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from robustify.augmentation import flip, translate
from robustify.devices import (
    Precision,
    autocast,
    choose_device,
    choose_precision,
    keep_freed_memory,
)
from robustify.errors import InputError
from robustify.nets import initialise
from robustify.objectives import Objective
from robustify.optimisers import make_descent


@dataclass(frozen=True)
class Recipe:
    """How long and by what steps a net is trained; baseline, control and robust nets share it.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a descent step.
        optimiser: name and options, see :func:`robustify.optimisers.make_descent`.
        schedule: name and options, see :func:`robustify.optimisers.make_schedule`.
        translation: largest random shift in pixels.
        flips: mirror a random half of the images in every epoch.
        precision: ``auto``, ``bfloat16`` or ``float32``.

    Raises:
        ValueError: if a number is out of range.
    """

    epochs: int
    batch_size: int
    optimiser: dict[str, Any]
    schedule: dict[str, Any] = field(default_factory=lambda: {"name": "triangle"})
    translation: int = 0
    flips: bool = False
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("translation", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; it must be a whole number >= {least}")


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean training loss over the epoch.
        test_accuracy: share of test images classified right after the epoch.
        seconds: training time of the epoch, evaluation left out.
    """

    epoch: int
    loss: float
    test_accuracy: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """Return the epoch's figures by name, without its number."""
        return {name: value for name, value in asdict(self).items() if name != "epoch"}

    def progress(self, epochs: int) -> dict[str, str]:
        """Return what the progress bar shows."""
        return {
            "epoch": f"{self.epoch}/{epochs}",
            "loss": f"{self.loss:.3f}",
            "test": f"{self.test_accuracy:.2%}",
        }


class DivergenceError(InputError):
    """The training loss is no longer a finite number."""


def train(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    objective: Objective,
    recipe: Recipe,
    seed: int,
    evaluate: Callable[[nn.Module], float],
    device: torch.device | None = None,
    title: str = "net",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> list[Epoch]:
    """Train the net from scratch by Algorithm 1 and leave it in eval mode on ``device``.

    Args:
        net: a net made by :func:`robustify.nets.make_net`.
        images: training images, uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        objective: what the descent step minimises; a worst case over a ``Point`` is standard training.
        recipe: epochs, batches, optimiser and augmentation.
        seed: fixes weights, order, augmentation and random starts.
        evaluate: maps the net to its test accuracy; called after every epoch.
        device: where to train; chosen by itself if left out.
        title: name on the progress bar.
        on_epoch: called with every finished epoch.

    Returns:
        One record an epoch.

    Raises:
        DivergenceError: if an epoch's mean loss isn't finite.
    """
    keep_freed_memory()
    device = device or choose_device()
    dtype = choose_precision(recipe.precision, device)
    generator = torch.Generator().manual_seed(seed)
    initialise(net, images, generator)
    net.to(device).to(memory_format=torch.channels_last)
    images, labels = images.to(device), labels.to(device)
    steps = math.ceil(len(images) / recipe.batch_size)
    descent = make_descent(
        net,
        steps=recipe.epochs * steps,
        steps_per_epoch=steps,
        schedule=recipe.schedule,
        **recipe.optimiser,
    )
    # random starts are drawn where the net lives, order and augmentation on the CPU
    ascent_generator = torch.Generator(device).manual_seed(_draw_seed(generator))

    def descend(x: Tensor, y: Tensor) -> Tensor:
        with autocast(device, dtype):
            loss = objective(net, x, y, generator=ascent_generator)
        loss.backward()
        descent.step()
        return loss.detach() * len(x)

    records: list[Epoch] = []
    with (
        _seeded_global_generator(_draw_seed(generator), device),
        tqdm(total=recipe.epochs * steps, desc=title, unit="step", mininterval=1) as bar,
    ):
        for number in range(1, recipe.epochs + 1):
            started = time.perf_counter()
            net.train()
            total = torch.zeros((), device=device)
            for x, y in _batches(images, labels, recipe, generator):
                total += descend(x, y)
                bar.update()
            loss = total.item() / len(images)
            seconds = time.perf_counter() - started
            if not math.isfinite(loss):
                raise DivergenceError(
                    f"{title}: the loss of epoch {number} is {loss}; "
                    "lower the optimiser's learning_rate or the set's radius"
                )
            net.eval()
            records.append(Epoch(number, loss, evaluate(net), seconds))
            bar.set_postfix(records[-1].progress(recipe.epochs))
            on_epoch(records[-1])
    return records


def _batches(
    images: Tensor, labels: Tensor, recipe: Recipe, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    augmented = translate(images, recipe.translation, generator)
    if recipe.flips:
        augmented = flip(augmented, generator)
    order = torch.randperm(len(images), generator=generator).to(images.device)
    for chosen in order.split(recipe.batch_size):
        pixels = augmented[chosen].contiguous(memory_format=torch.channels_last)
        yield pixels.float().div_(255), labels[chosen]


def _draw_seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (1,), generator=generator))


@contextmanager
def _seeded_global_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout can only draw from PyTorch's global generator: seed it for the training, restore it after."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
