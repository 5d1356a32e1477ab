"""One training in progress: Algorithm 1 step by step, from a state that can be stored and taken up again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn

from robustify.machine.devices import autocast, choose_precision
from robustify.nets import initialise
from robustify.objectives import Objective
from robustify.storage import Tensors
from robustify.training.augmentation import flip, translate
from robustify.training.averaging import WeightAverage
from robustify.training.optimisers import make_descent
from robustify.training.recipe import Epoch, Recipe
from robustify.training.selection import Selection

NO_STEP = -1
# far above what any objective gives a net that learns; a net that guesses one of ten classes has 2.3
LARGEST_LOSS = 1e4


class Course:
    """What changes while a net is trained.

    The generator's state at the start of an epoch fixes its augmentation and order, so a state taken
    amid an epoch needs no more than that and the number of steps to skip.

    Args:
        net: a net made by :func:`robustify.nets.make_net`; initialised here.
        images: training images, uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        objective: what the descent step minimises.
        recipe: epochs, batches, optimiser and augmentation.
        seed: fixes weights, order, augmentation and random starts.
        device: where to train.
        selection: what held-out images choose; nothing if left out.

    Raises:
        InputError: if the passes are to be compiled and the objective doesn't allow it.

    Attributes:
        records: the finished epochs.
        steps: descent steps an epoch.
        step: descent steps taken in the epoch at hand.
    """

    def __init__(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        objective: Objective,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        selection: Selection | None = None,
    ) -> None:
        if recipe.compile:
            objective.require_compilable()
        self.records: list[Epoch] = []
        self.steps = math.ceil(len(images) / recipe.batch_size)
        self.step: int
        self._net, self._objective, self._recipe, self._device = net, objective, recipe, device
        self._selection = selection
        self._dtype = choose_precision(recipe.precision, device)
        self._generator = torch.Generator().manual_seed(seed)
        initialise(net, images, self._generator)
        net.to(device).to(memory_format=torch.channels_last)
        # its weights are the net's own; only the passes of the training go through it
        self._passes = (
            cast(nn.Module, torch.compile(net, mode=recipe.compile)) if recipe.compile else net
        )
        self._images, self._labels = images.to(device), labels.to(device)
        self._descent = make_descent(
            net,
            steps=recipe.epochs * self.steps,
            steps_per_epoch=self.steps,
            schedule=recipe.schedule,
            **recipe.optimiser,
        )
        self._average = WeightAverage(net, recipe.averaging) if recipe.averaging else None
        # random starts are drawn where the net lives, order and augmentation on the CPU
        self._ascent_generator = torch.Generator(device).manual_seed(draw_seed(self._generator))
        self.global_seed = draw_seed(self._generator)
        self._open_epoch()

    @property
    def taken(self) -> int:
        """Descent steps taken since the start."""
        return len(self.records) * self.steps + self.step

    @property
    def finished(self) -> bool:
        """Whether all epochs of the recipe are done, or the held-out images ended the training."""
        ended = self._selection is not None and self._selection.ending is not None
        return ended or len(self.records) >= self._recipe.epochs

    def descend(self) -> Iterator[None]:
        """Take what is left of the epoch's descent steps, one a turn."""
        self._net.train()
        self._started = time.perf_counter()
        for chosen, x, y in islice(self._batches(), self.step, None):
            with autocast(self._device, self._dtype):
                objective = self._objective.for_examples(chosen)
                if self._recipe.radius_warmup:
                    objective = objective.at_radius(self._share_of_radius(self.taken))
                loss = objective(self._passes, x, y, generator=self._ascent_generator)
            loss.backward()
            self._descent.step()
            if self._average is not None:
                self._average.update(self._net)
            self._note(loss.detach(), len(x))
            yield

    def diverged_at(self) -> int | None:
        """Return the epoch's first step, counted from 1, whose loss wasn't finite or beyond ``LARGEST_LOSS``; None if there is none.

        Where the last step left weights that aren't finite, that step counts.
        """
        step = int(self._first_bad_step)
        if step != NO_STEP:
            return step
        finite = all(bool(weight.isfinite().all()) for weight in self._net.state_dict().values())
        return None if finite else self.step

    def close_epoch(self, evaluate: Callable[[nn.Module], float]) -> Epoch:
        """Evaluate the net, add the epoch to the records, and return its record."""
        loss = self._total.item() / len(self._images)
        seconds = self._seconds + time.perf_counter() - self._started
        net = self._net if self._average is None else self._average.net
        net.eval()
        epoch = Epoch(len(self.records) + 1, loss, evaluate(net), seconds)
        if self._selection is not None:
            seen, overfits = self._selection.judge(
                net,
                epoch.epoch,
                at_full_radius=self._share_of_radius(len(self.records) * self.steps) == 1,
            )
            epoch = replace(epoch, seen=seen, overfits=overfits)
        self.records.append(epoch)
        self._open_epoch()
        if self.finished:
            self._conclude(net)
        return self.records[-1]

    def state(self) -> Tensors:
        """Return all that is needed to go on from here, on a CPU with the same result to the bit."""
        optimisers, rates = self._descent.state()
        generators = {
            "generator.epoch": self._generator_at_start,
            "generator.ascent": self._ascent_generator.get_state(),
            "generator.global": torch.get_rng_state(),
        }
        if self._device.type == "cuda":
            generators["generator.cuda"] = torch.cuda.get_rng_state(self._device)
        sums = {"epoch.total": self._total, "epoch.first_bad_step": self._first_bad_step}
        elapsed = time.perf_counter() - self._started if self.step else 0.0
        about = {
            "records": [asdict(record) for record in self.records],
            "step": self.step,
            "seconds": self._seconds + elapsed,
            "rates": rates,
        }
        extra = {}
        if self._average is not None:
            extra = {f"average.{name}": value for name, value in self._average.state().items()}
        if self._selection is not None:
            best, about["selection"] = self._selection.state()
            extra.update(best)
        return Tensors({**self._weights(), **optimisers, **generators, **sums, **extra}, about)

    def result(self) -> Tensors:
        """Return weights and records alone: the state of a training that is finished."""
        about = {"records": [asdict(record) for record in self.records], "step": 0}
        if self._selection is not None:
            _, about["selection"] = self._selection.state()
        return Tensors(self._weights(), about)

    def restore(self, stored: Tensors) -> None:
        """Go on from a state made by :meth:`state` or :meth:`result`."""
        tensors, about = stored.tensors, stored.provenance
        self._net.load_state_dict(_under("net.", tensors))
        self.records = [Epoch.of(record) for record in about["records"]]
        if self._selection is not None:
            self._selection.restore(tensors, about["selection"])
        if self.finished:
            return
        self._descent.restore(tensors, about["rates"])
        if self._average is not None:
            self._average.restore(_under("average.", tensors))
        self._generator.set_state(tensors["generator.epoch"])
        self._ascent_generator.set_state(tensors["generator.ascent"])
        torch.set_rng_state(tensors["generator.global"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(tensors["generator.cuda"], self._device)
        self._open_epoch()
        self.step, self._seconds = about["step"], about["seconds"]
        self._total = tensors["epoch.total"].to(self._device)
        self._first_bad_step = tensors["epoch.first_bad_step"].to(self._device)

    def _open_epoch(self) -> None:
        self.step = 0
        self._seconds = 0.0
        self._generator_at_start = self._generator.get_state()
        # both stay on the device until the epoch's end
        self._total = torch.zeros((), device=self._device)
        self._first_bad_step = torch.full((), NO_STEP, device=self._device)

    def _share_of_radius(self, step: int) -> float:
        warmup = self._recipe.radius_warmup * self._recipe.epochs * self.steps
        return min((step + 1) / warmup, 1.0) if warmup else 1.0

    def _conclude(self, last: nn.Module) -> None:
        """Give the net the weights that count, and say whose they are."""
        weights, kept = last.state_dict(), len(self.records)
        if self._selection is not None:
            if self._selection.restores:
                weights, kept = self._selection.weights, self._selection.best
            self.records = [replace(record, kept=record.epoch == kept) for record in self.records]
        if last is not self._net or kept < len(self.records):
            self._net.load_state_dict(weights)

    def _note(self, loss: Tensor, images: int) -> None:
        self.step += 1
        self._total += loss * images
        # no comparison with NaN is true
        first = ~(loss < LARGEST_LOSS) & (self._first_bad_step == NO_STEP)
        self._first_bad_step.masked_fill_(first, self.step)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        augmented = translate(self._images, self._recipe.translation, self._generator)
        if self._recipe.flips:
            augmented = flip(augmented, self._generator)
        order = torch.randperm(len(self._images), generator=self._generator).to(self._device)
        for chosen in order.split(self._recipe.batch_size):
            pixels = augmented[chosen].contiguous(memory_format=torch.channels_last)
            yield chosen, pixels.float().div_(255), self._labels[chosen]

    def _weights(self) -> dict[str, Tensor]:
        return {f"net.{name}": value for name, value in self._net.state_dict().items()}


def draw_seed(generator: torch.Generator) -> int:
    """Return a seed drawn from the generator."""
    return int(torch.randint(2**62, (1,), generator=generator))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
