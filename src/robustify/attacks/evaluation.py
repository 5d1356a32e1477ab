"""Robust accuracy: how many images stay right whatever the attacks try.

No attack's word is taken: what counts is a point of ball ∩ box, in float32 as stored, that a
fresh forward pass gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from tqdm import tqdm

from robustify.answers import BATCH_SIZE, device_of, dtype_of, logits_of, require_tensors
from robustify.attacks.base import Attack, ball_in_box
from robustify.errors import InputError, shown
from robustify.limits import require_seed
from robustify.machine.devices import full_precision
from robustify.modes import evaluation_mode
from robustify.storage import tensors_sha256
from robustify.uncertainty import UncertaintySet, perturbation_norm, require_radius_in_box
from robustify.validity import checked_logits, outputs_are_finite

CLEAN = "clean"
# float32 pixels can't lie on a sphere exactly: near 1 they are this far apart, which in a ball as small
# as 0.5 / 255 is more than a relative tolerance allows
TOLERANCE = 1e-5
PIXEL_RESOLUTION = 2.0**-23


@dataclass(frozen=True)
class AttackState:
    """What the attacks have found so far; all a caller needs to store to go on later.

    Attributes:
        norm: name of the uncertainty set.
        radius: of the set, in pixel units of the [0, 1] scale.
        seed: of all that is random.
        net_and_data: SHA-256 of the net's weights, the images and their labels.
        options: of each finished attack, by its name.
        standing: after ``clean`` and after each finished attack, in the order they ran, which
            images are still classified right, bool, shape (N,).
        adversarial: verified examples, float32, shape (M, C, H, W).
        source: index of each example's original, int64, shape (M,).
        rejected: for each finished attack, the number of its points that the net got wrong but
            that lay outside ball ∩ box; they don't count.
    """

    norm: str
    radius: float
    seed: int
    net_and_data: str
    options: dict[str, dict[str, str]]
    standing: dict[str, Tensor]
    adversarial: Tensor
    source: Tensor
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def still_standing(self) -> Tensor:
        """The images that no attack has broken so far, bool, shape (N,)."""
        return next(reversed(self.standing.values()))


@dataclass(frozen=True)
class RobustAccuracy:
    """How many images are still classified right.

    Attributes:
        images: number of images.
        right: number classified right, after ``clean`` and after each attack in turn.
        rejected: points outside ball ∩ box that an attack came up with, by attack.
        state: masks and examples.
    """

    images: int
    right: dict[str, int]
    rejected: dict[str, int]
    state: AttackState

    @property
    def clean_accuracy(self) -> float:
        """Share of the images classified right without any attack."""
        return self.right[CLEAN] / self.images

    @property
    def robust_accuracy(self) -> float:
        """Share of the images classified right after every attack."""
        return next(reversed(self.right.values())) / self.images


@dataclass(frozen=True)
class Progress:
    """How far a running attack is.

    Attributes:
        attack: its name.
        done: number of images it has tried.
        total: number it tries in all.
        standing: number of images still right, untried ones included.
    """

    attack: str
    done: int
    total: int
    standing: int


def robust_accuracy(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    uncertainty_set: UncertaintySet,
    *,
    batch_size: int = BATCH_SIZE,
    seed: int,
    state: AttackState | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_attack_end: Callable[[AttackState], None] | None = None,
    show_progress: bool = True,
) -> RobustAccuracy:
    """Attack every image that the net has right and count those that stay right.

    Args:
        net: maps images in [0, 1] to logits; its modes and weight gradients stay as they are.
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        attack: one attack or several in a row, as :class:`AutoAttack`.
        uncertainty_set: a norm ball; the box [0, 1] always holds.
        batch_size: images attacked at a time.
        seed: of all that is random; each attack has a generator of its own.
        state: of an earlier call with the same arguments, to go on after its last attack.
        on_progress: called after every batch.
        on_attack_end: called with the state after every finished attack, to store it.
        show_progress: draw a bar for each attack.

    Raises:
        ValueError: if there are no images, they aren't in [0, 1], labels aren't classes of the net,
            its outputs aren't finite or are probabilities, the set is no norm ball, the net has too
            few classes or the state belongs to other images or settings.
    """
    require_tensors(images=images, labels=labels)
    if len(images) == 0:
        raise InputError("robust accuracy of no images is undefined; the set is empty")
    if not isinstance(attack, Attack):
        raise InputError(
            f"attack is {shown(attack)}; it must be an attack, as make_attack makes them"
        )
    require_seed(seed)
    parts = attack.parts(uncertainty_set)
    ball = ball_in_box(uncertainty_set)
    require_radius_in_box(ball, images[0].numel())
    setting = _Setting(net, images, labels.cpu(), ball, batch_size, on_progress, show_progress)
    begun = setting.begin(parts, seed)
    if state is not None:
        _check(state, begun, parts)
    state = state or begun
    for position, part in enumerate(parts):
        if part.name in state.standing:
            continue
        state = setting.run(part, state, _seed_of(seed, position))
        if on_attack_end is not None:
            on_attack_end(state)
    right = {name: int(mask.sum()) for name, mask in state.standing.items()}
    return RobustAccuracy(len(images), right, dict(state.rejected), state)


@dataclass(frozen=True)
class _Setting:
    """What stays the same while one attack follows the other."""

    net: nn.Module
    images: Tensor
    labels: Tensor
    uncertainty_set: UncertaintySet
    batch_size: int
    on_progress: Callable[[Progress], None] | None
    show_progress: bool

    def begin(self, parts: tuple[Attack, ...], seed: int) -> AttackState:
        chosen = (self.net, self.images, self.labels)
        logits = checked_logits(*chosen, batch_size=self.batch_size)
        # the last part would say so hours later
        for part in parts:
            part.require_classes(logits.shape[1])
        right = logits.argmax(dim=1) == self.labels
        return AttackState(
            norm=self.uncertainty_set.name,
            radius=self.uncertainty_set.radius,
            seed=seed,
            net_and_data=net_and_data_sha256(*chosen),
            options={},
            standing={CLEAN: right},
            adversarial=torch.empty((0, *self.images.shape[1:])),
            source=torch.empty(0, dtype=torch.int64),
        )

    def run(self, attack: Attack, state: AttackState, seed: int) -> AttackState:
        standing = state.still_standing.clone()
        targets = standing.nonzero()[:, 0]
        generator = torch.Generator(self._device).manual_seed(seed)
        adversarial, source, rejected, done = [state.adversarial], [state.source], 0, 0
        with tqdm(
            total=len(targets),
            desc=attack.name,
            unit="image",
            mininterval=1,
            disable=not self.show_progress,
        ) as bar:
            for batch in targets.split(self.batch_size) if len(targets) else ():
                candidates, wrong, inside = self._attack(attack, batch, generator)
                broken = wrong & inside
                standing[batch[broken]] = False
                adversarial.append(candidates[broken])
                source.append(batch[broken])
                rejected += int((wrong & ~inside).sum())
                done += len(batch)
                remaining = int(standing.sum())
                bar.set_postfix(standing=remaining, refresh=False)
                bar.update(len(batch))
                if self.on_progress is not None:
                    self.on_progress(Progress(attack.name, done, len(targets), remaining))
        return replace(
            state,
            options={**state.options, attack.name: attack.options()},
            standing={**state.standing, attack.name: standing},
            adversarial=torch.cat(adversarial),
            source=torch.cat(source),
            rejected={**state.rejected, attack.name: rejected},
        )

    def _attack(
        self, attack: Attack, batch: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return candidates, which the net gets wrong and which lie in the set, on the CPU."""
        x, labels = _pixels(self.images[batch.to(self.images.device)]), self.labels[batch].long()
        with evaluation_mode(self.net), full_precision():
            candidates = attack.run(
                self.net,
                x.to(self._device, dtype_of(self.net)),
                labels.to(self._device),
                self.uncertainty_set,
                generator=generator,
            )
        candidates = candidates.detach().float().cpu().contiguous()
        logits = logits_of(self.net, candidates, batch_size=self.batch_size)
        # whether they are logits was asked of all images; a few candidates may look like anything
        outputs_are_finite(logits).require()
        wrong = logits.argmax(dim=1) != labels
        return candidates, wrong, lies_inside(candidates, x.cpu(), self.uncertainty_set)

    @property
    def _device(self) -> torch.device:
        return device_of(self.net)


def lies_inside(candidates: Tensor, x: Tensor, uncertainty_set: UncertaintySet) -> Tensor:
    """Return which candidates lie in ball ∩ box, bool, shape (N,).

    Up to 1e-5 of either's size, and up to float32's resolution in every pixel that has moved.
    """
    offset = candidates.double() - x.double()
    length = perturbation_norm(uncertainty_set.name, offset)
    rounding = perturbation_norm(uncertainty_set.name, (offset != 0) * PIXEL_RESOLUTION)
    flat = candidates.flatten(1)
    in_box = ((flat >= -TOLERANCE) & (flat <= 1 + TOLERANCE)).all(dim=1)
    return in_box & (length <= uncertainty_set.radius * (1 + TOLERANCE) + rounding)


def net_and_data_sha256(net: nn.Module, images: Tensor, labels: Tensor) -> str:
    """Return the SHA-256 of a net's weights and buffers, the images and their labels."""
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    return tensors_sha256({**weights, "images": images, "labels": labels})


def _pixels(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def _seed_of(seed: int, position: int) -> int:
    seeds = torch.randint(2**62, (position + 1,), generator=torch.Generator().manual_seed(seed))
    return int(seeds[position])


def _check(state: AttackState, begun: AttackState, parts: tuple[Attack, ...]) -> None:
    stored, wanted = (
        (one.norm, one.radius, one.seed, len(one.standing[CLEAN])) for one in (state, begun)
    )
    if stored != wanted:
        raise InputError(
            f"attack state has (norm, radius, seed, images) {stored}; this attack has {wanted}"
        )
    if state.net_and_data != begun.net_and_data:
        raise InputError("attack state is of another net, images or labels")
    finished, order = list(state.standing)[1:], [part.name for part in parts]
    if finished != order[: len(finished)]:
        raise InputError(
            f"attack state has run {', '.join(finished)}; this attack runs {', '.join(order)}"
        )
    for part in parts[: len(finished)]:
        if state.options.get(part.name) != part.options():
            raise InputError(
                f"attack state has run {part.name} with {state.options.get(part.name)}; this attack has {part.options()}"
            )
