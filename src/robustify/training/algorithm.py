"""Training from the first step, or the last checkpoint, to the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from tqdm import tqdm

from robustify.answers import logits_of
from robustify.errors import InputError
from robustify.machine.allocator import keep_freed_memory
from robustify.machine.devices import choose_device, ieee_float32
from robustify.machine.interruption import Interruption
from robustify.machine.shortage import is_memory_shortage
from robustify.objectives import Objective, SetObjective
from robustify.training.checkpoints import Checkpoints
from robustify.training.course import LARGEST_LOSS, Course
from robustify.training.held_out import split
from robustify.training.recipe import Epoch, Recipe
from robustify.training.selection import Selection
from robustify.validity import require_bytes

logger = logging.getLogger(__name__)


class DivergenceError(InputError):
    """The training loss is no longer a finite number, or far beyond any that a net learns from."""


class OutOfMemoryError(InputError):
    """A descent step needs more memory than there is."""


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
    checkpoints: Checkpoints | None = None,
) -> list[Epoch]:
    """Train the net by Algorithm 1 and leave it in eval mode on ``device``.

    It starts from scratch, or where ``checkpoints`` left it, on a CPU with the same result to the bit. On the first
    Ctrl-C it ends the step at hand, stores its state and stops. The process keeps freed memory from then on, see
    :func:`robustify.machine.allocator.keep_freed_memory`.

    Args:
        net: a net made by :func:`robustify.nets.make_net`.
        images: training images, uint8, shape (N, C, H, W); those that the recipe holds out are among them.
        labels: true classes, int64, shape (N,).
        objective: what the descent step minimises; a worst case over a ``Point`` is standard training.
        recipe: epochs, batches, optimiser, augmentation, and what is chosen on held-out images.
        seed: fixes weights, order, augmentation and random starts.
        evaluate: maps the net to its test accuracy; called after every epoch, chooses nothing.
        device: where to train; chosen by itself if left out.
        title: name on the progress bar.
        on_epoch: called with every finished epoch, those of an earlier process included.
        checkpoints: where the state is stored after every epoch; nowhere if left out.

    Returns:
        One record an epoch; the last weights are those of the last epoch unless another one is ``kept``.

    Raises:
        InputError: if there are no images, they aren't uint8 or labels aren't their classes, if the recipe holds out more images than a class has, or any where the objective needs
            tangent planes, or watches a set that is no ball.
        DivergenceError: if the loss or a weight isn't finite, or the loss is huge; names epoch, step and last good checkpoint.
        OutOfMemoryError: if a step needs more memory than there is; names what to lower.
        KeyboardInterrupt: after Ctrl-C.
    """
    require_bytes(images)
    _require_classes(net, images, labels)
    keep_freed_memory()
    device = device or choose_device()
    trained_on, selection = _hold_out(images, labels, objective, recipe)
    with _shortage_named(title, recipe):
        course = Course(
            net,
            *trained_on,
            objective=objective,
            recipe=recipe,
            seed=seed,
            device=device,
            selection=selection,
        )
    with (
        _seeded_global_generator(course.global_seed, device),
        _shortage_named(title, recipe),
        ieee_float32(),
        Interruption() as interruption,
        tqdm(total=recipe.epochs * course.steps, desc=title, unit="step", mininterval=1) as bar,
    ):
        _take_up(course, checkpoints)
        # what an earlier process did says nothing of this one's speed
        bar.n = bar.initial = course.taken
        bar.refresh()
        for record in course.records:
            on_epoch(record)
        while not course.finished:
            for _ in course.descend():
                bar.update()
                if interruption.requested:
                    break
            _check_loss(course, checkpoints, title)
            closed = course.close_epoch(evaluate) if course.step == course.steps else None
            _store(course, checkpoints)
            if closed:
                bar.set_postfix(closed.progress(recipe.epochs))
                on_epoch(closed)
                _report(closed, selection, title)
            interruption.raise_if_requested()
    net.eval()
    return course.records


def _require_classes(net: nn.Module, images: Tensor, labels: Tensor) -> None:
    if len(images) == 0:
        raise InputError("there are no images to train on; give at least one")
    classes = logits_of(net, images[:2]).shape[1]
    fits = labels.dtype == torch.int64 and labels.shape == (len(images),)
    if not fits or bool(((labels < 0) | (labels >= classes)).any()):
        raise InputError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; they must be the class of each of {len(images)} images, 0 to "
            f"{classes - 1}, as torch.int64"
        )


def _hold_out(
    images: Tensor, labels: Tensor, objective: Objective, recipe: Recipe
) -> tuple[tuple[Tensor, Tensor], Selection | None]:
    """Return the images and labels to train on, and what the others choose."""
    if recipe.held_out == 0:
        return (images, labels), None
    if objective.for_examples(torch.zeros(1, dtype=torch.int64)) is not objective:
        raise InputError(
            "held_out: the objective needs the tangent planes of all training images; set training.held_out to 0"
        )
    chosen, held = split(labels, recipe.held_out)
    selection = None
    if recipe.watch is not None:
        if not isinstance(objective, SetObjective):
            raise InputError("watch: the objective has no uncertainty set; leave watch out")
        selection = Selection(recipe.watch, images[held], labels[held], objective.uncertainty_set)
    return (images[chosen], labels[chosen]), selection


def _report(epoch: Epoch, selection: Selection | None, title: str) -> None:
    if selection is None or epoch.seen is None:
        return
    if epoch.overfits:
        logger.warning(
            "%s: catastrophic overfitting in epoch %d: of the held-out images %.1f %% survive one step, %.1f %% several",
            title,
            epoch.epoch,
            100 * epoch.seen.fgsm_accuracy,
            100 * epoch.seen.pgd_accuracy,
        )
    if selection.ending is not None:
        kept = selection.best if selection.restores else epoch.epoch
        logger.warning(
            "%s: training ends after epoch %d (%s); the weights of epoch %d count",
            title,
            epoch.epoch,
            selection.ending.replace("_", " "),
            kept,
        )
        if epoch.overfits and kept == epoch.epoch:
            logger.warning(
                "%s: those weights are overfitted, and no epoch before has better ones; several inner steps, a random start or a "
                "smaller radius may help",
                title,
            )


def _take_up(course: Course, checkpoints: Checkpoints | None) -> None:
    stored = checkpoints.latest() if checkpoints else None
    if stored is not None:
        course.restore(stored)


def _store(course: Course, checkpoints: Checkpoints | None) -> None:
    if checkpoints is None:
        return
    if course.finished:
        checkpoints.finish(course.result(), step=course.taken)
    else:
        checkpoints.save(course.state(), step=course.taken)


def _check_loss(course: Course, checkpoints: Checkpoints | None, title: str) -> None:
    step = course.diverged_at()
    if step is None:
        return
    good = checkpoints.latest_path() if checkpoints else None
    raise DivergenceError(
        f"{title}: the loss diverges (it isn't finite, or above {LARGEST_LOSS:.0f}) from step {step} of epoch {len(course.records) + 1} on; lower the "
        f"optimiser's learning_rate or the set's radius, or let it grow (radius_warmup; last good checkpoint: {good or 'none'})"
    )


@contextmanager
def _shortage_named(title: str, recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_shortage(error):
            raise
        raise OutOfMemoryError(
            f"{title}: out of memory; lower training.batch_size (now {recipe.batch_size}) or the net's widths"
        ) from error


@contextmanager
def _seeded_global_generator(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout can only draw from PyTorch's global generator: seed it for the training, restore it after."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        # torch.manual_seed would seed other GPUs, too, for good
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
