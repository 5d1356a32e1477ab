"""What is looked at after every epoch on held-out images: one step against several, and what follows from it.

A net trained on single steps may learn to fool them: within an epoch its accuracy under one step stays high or rises
while that under several falls to nothing ("catastrophic overfitting", Wong et al., 2020, "Fast is better than free").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, device_of, pixels
from robustify.errors import InputError, shown
from robustify.limits import is_number, require_at_least, require_reach, require_relative_step
from robustify.machine.devices import full_precision
from robustify.maximisers import Maximiser, ProjectedGradient, SteepestAscent
from robustify.modes import evaluation_mode
from robustify.uncertainty import NormBall, Point, UncertaintySet, make_uncertainty_set

Action = Literal["warn", "stop", "restore"]
Keep = Literal["last", "best"]
ACTIONS: tuple[Action, ...] = ("warn", "stop", "restore")
KEEPS: tuple[Keep, ...] = ("last", "best")

# the random starts are the same after every epoch, so that epochs can be compared
_SEED = 0


@dataclass(frozen=True)
class Watch:
    """How the held-out images are looked at, and what follows.

    Attributes:
        images: the first so many held-out images; all if left out.
        epsilon: radius of the ball, in the norm of the net's own set, on the [0, 1] scale; the set's if left
            out. A net on points is looked at on the points.
        steps: of projected gradient ascent, from a random start.
        relative_step: length of a step as a share of epsilon.
        threshold: accuracy under one step minus accuracy under several, as shares, above which it is
            catastrophic overfitting.
        action: what it leads to: a warning, the training's end, or the end and the weights of the epoch
            of highest accuracy under several steps.
        keep: which weights count otherwise: the last ones, or in any case those of that epoch.
        patience: the training ends after so many epochs in a row that don't raise the highest accuracy under
            several steps; never if left out.

    Raises:
        InputError: if a name is unknown or a number out of range.
    """

    images: int | None = None
    epsilon: float | None = None
    steps: int = 10
    relative_step: float = 0.25
    threshold: float = 0.2
    action: Action = "warn"
    keep: Keep = "last"
    patience: int | None = None

    def __post_init__(self) -> None:
        for name, known in (("action", ACTIONS), ("keep", KEEPS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"watch.{name} is {getattr(self, name)!r}; known: {', '.join(known)}"
                )
        for name in ("images", "steps", "patience"):
            value = getattr(self, name)
            if value is not None:
                require_at_least(1, **{f"watch.{name}": value})
        if not is_number(self.threshold) or not 0 < self.threshold < 1:
            raise InputError(f"watch.threshold is {shown(self.threshold)}; it must be in (0, 1)")
        if self.epsilon is not None and not (
            is_number(self.epsilon) and 0 < self.epsilon < math.inf
        ):
            raise InputError(
                f"watch.epsilon is {shown(self.epsilon)}; it must be a finite number > 0"
            )
        require_relative_step(self.relative_step, name="watch.relative_step")
        require_reach(self.steps, self.relative_step, of="watch")

    def ball_of(self, uncertainty_set: UncertaintySet) -> UncertaintySet:
        """Return the ball ∩ box to look in, or the set itself if it holds points alone.

        Raises:
            InputError: if the set is neither.
        """
        if isinstance(uncertainty_set, Point):
            return uncertainty_set
        if not isinstance(uncertainty_set, NormBall):
            raise InputError(
                f"watch: the set {uncertainty_set.name!r} is no norm ball; leave it out"
            )
        radius = uncertainty_set.radius if self.epsilon is None else self.epsilon
        return make_uncertainty_set(uncertainty_set.name, radius=radius)


@dataclass(frozen=True)
class Seen:
    """Shares of the held-out images that a net has right.

    Attributes:
        accuracy: without an attack.
        fgsm_accuracy: under one step of steepest ascent from the image (Eq. 11; FGSM where the ball is l∞).
        pgd_accuracy: under several.
    """

    accuracy: float
    fgsm_accuracy: float
    pgd_accuracy: float


def look(
    net: nn.Module, images: Tensor, labels: Tensor, uncertainty_set: UncertaintySet, watch: Watch
) -> Seen:
    """Return what the net has right, in float32 and eval mode; its modes and gradients stay as they are.

    Args:
        net: maps images in [0, 1] to logits.
        images: held-out images, uint8, shape (N, C, H, W), N ≥ 1.
        labels: true classes, int64, shape (N,).
        uncertainty_set: see :meth:`Watch.ball_of`.
        watch: how many images, how many steps.
    """
    device = device_of(net)
    attacks: tuple[Maximiser | None, ...] = (
        None,
        SteepestAscent(),
        ProjectedGradient(steps=watch.steps, relative_step=watch.relative_step, random_start=True),
    )
    images, labels = images[: watch.images], labels[: watch.images]
    right = [0] * len(attacks)
    generator = torch.Generator(device).manual_seed(_SEED)
    with evaluation_mode(net), full_precision():
        for batch, y in zip(images.split(BATCH_SIZE), labels.split(BATCH_SIZE), strict=True):
            x, y = pixels(batch, net), y.to(device)
            for position, attack in enumerate(attacks):
                worst = x
                if attack is not None:
                    worst = attack.maximise(net, x, y, uncertainty_set, generator=generator)
                with torch.no_grad():
                    logits = net(worst)
                    # the largest of several NaN would be the first class
                    told = logits.isfinite().all(dim=1) & (logits.argmax(dim=1) == y)
                    right[position] += int(told.sum())
    return Seen(*(count / len(images) for count in right))
