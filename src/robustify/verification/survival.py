"""Which images outlast an attack, portion by portion, so that a killed process loses one portion at most."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from robustify.answers import device_of, logits_of, pixels, require_tensors
from robustify.attacks import Attack, AttackState, Progress, robust_accuracy
from robustify.attacks.base import ball_in_box
from robustify.attacks.evaluation import net_and_data_sha256
from robustify.errors import InputError
from robustify.fingerprint import VERIFICATION_CODE, fingerprint
from robustify.limits import require_seed
from robustify.storage import Tensors, load_tensors, save_tensors, tensors_sha256
from robustify.uncertainty import NormBall, UncertaintySet, require_radius_in_box
from robustify.validity import checked_logits

logger = logging.getLogger(__name__)

BATCH_SIZE = 100
# images whose logits tell nets apart, as they are and moved off the grid of bytes
_KNOWN_BY = 16
_MOVED = 0.96
_OF = "fingerprint"


@dataclass(frozen=True)
class Survival:
    """Which images are still classified right.

    Attributes:
        standing: after ``clean`` and after each part of the attack in turn, bool, shape (N,).
        rejected: points outside ball ∩ box that a part came up with; they don't count.
        seconds: that the attack took, interrupted portions left out.
    """

    standing: dict[str, Tensor] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(next(iter(self.standing.values()))) if self.standing else 0

    @property
    def right(self) -> dict[str, int]:
        """Number of images right, after ``clean`` and after each part."""
        return {name: int(mask.sum()) for name, mask in self.standing.items()}

    @property
    def survivors(self) -> Tensor:
        """The images that outlast the whole attack, bool, shape (N,)."""
        return next(reversed(self.standing.values()))

    def joined(self, other: Survival) -> Survival:
        """Return this and the next portion as one."""
        if not self.standing:
            return other
        return Survival(
            {name: torch.cat([mask, other.standing[name]]) for name, mask in self.standing.items()},
            {name: count + other.rejected[name] for name, count in self.rejected.items()},
            self.seconds + other.seconds,
        )


def survive(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    uncertainty_set: UncertaintySet,
    *,
    batch_size: int = BATCH_SIZE,
    seed: int,
    title: str = "net",
    folder: Path | None = None,
) -> Survival:
    """Attack every image that the net has right and return which ones outlast it.

    Called again after an interruption with the same arguments and folder, it goes on with the first
    portion (or the first part of an attack of several) that isn't done, with the same outcome.

    Args:
        net: maps images in [0, 1] to logits; its modes and weight gradients stay as they are.
        images: uint8, shape (N, C, H, W), N ≥ 1.
        labels: true classes, int64, shape (N,).
        attack: one attack or several in a row, as :class:`robustify.attacks.AutoAttack`.
        uncertainty_set: a norm ball; the box [0, 1] always holds.
        batch_size: images in a portion, attacked at a time.
        seed: of all that is random; each portion has a seed of its own.
        title: name on the progress bar.
        folder: where the state is stored after every portion; nowhere if left out.

    Raises:
        InputError: as :func:`robustify.attacks.robust_accuracy`, or if the state can't be written.
    """
    require_tensors(images=images, labels=labels)
    require_seed(seed)
    if len(images) == 0:
        raise InputError("robust accuracy of no images is undefined; the set is empty")
    ball = ball_in_box(uncertainty_set)
    require_radius_in_box(ball, images[0].numel())
    # each portion would be looked at only when its turn comes
    logits = checked_logits(net, images, labels, batch_size=batch_size)
    right = logits.argmax(dim=1) == labels.cpu()
    store = _Store(folder, _key(net, images, labels, attack, ball, batch_size, seed))
    found, begun = store.read()
    with tqdm(
        total=len(images), initial=len(found), desc=title, unit="image", mininterval=1
    ) as bar:
        for first in range(len(found), len(images), batch_size):
            portion = slice(first, first + batch_size)
            chosen = (net, images[portion], labels[portion], attack, ball)
            started = time.perf_counter() - begun.seconds
            elsewhere = int(found.survivors.sum()) if len(found) else 0
            elsewhere += int(right[portion.stop :].sum())
            state = robust_accuracy(
                *chosen,
                batch_size=batch_size,
                seed=seed + first,
                state=_state(begun, *chosen, seed + first) if begun.standing else None,
                on_progress=partial(_show, bar, elsewhere),
                on_attack_end=partial(_store_begun, store, found, started),
                show_progress=False,
            ).state
            found, begun = found.joined(_survival(state, started)), Survival()
            store.write(found, begun)
            bar.update(len(images[portion]))
    return found


def _store_begun(store: _Store, found: Survival, started: float, state: AttackState) -> None:
    store.write(found, _survival(state, started))


def _show(bar: tqdm[Any], elsewhere: int, progress: Progress) -> None:
    bar.set_postfix(attack=progress.attack, standing=elsewhere + progress.standing)


def _survival(state: AttackState, started: float) -> Survival:
    return Survival(
        dict(state.standing), dict(state.rejected), round(time.perf_counter() - started, 3)
    )


def _state(
    begun: Survival,
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    ball: NormBall,
    seed: int,
) -> AttackState:
    # of examples already found nothing but their number counts, and that is in the masks
    return AttackState(
        norm=ball.name,
        radius=ball.radius,
        seed=seed,
        net_and_data=net_and_data_sha256(net, images, labels),
        options={part.name: part.options() for part in attack.parts(ball)},
        standing=dict(begun.standing),
        adversarial=torch.empty((0, *images.shape[1:])),
        source=torch.empty(0, dtype=torch.int64),
        rejected=dict(begun.rejected),
    )


def _key(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    ball: NormBall,
    batch_size: int,
    seed: int,
) -> str:
    # what a net answers may hang on more than its layers and weights
    known = images[:_KNOWN_BY]
    moved = _MOVED * pixels(known, net)
    answers = {
        "logits": logits_of(net, known, batch_size=_KNOWN_BY),
        "moved": logits_of(net, moved, batch_size=_KNOWN_BY),
    }
    settings = {
        "net": [str(net), tensors_sha256({**net.state_dict(), **answers})],
        "data": tensors_sha256({"images": images, "labels": labels}),
        "attack": [[part.name, part.options()] for part in attack.parts(ball)],
        "ball": [ball.name, ball.radius],
        "batch_size": batch_size,
        "seed": seed,
        "device": device_of(net).type,
    }
    return fingerprint(settings, VERIFICATION_CODE)


class _Store:
    """A file for the finished portions and the one that is begun; nothing without a folder."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self._key = key
        self._path = None if folder is None else folder / f"{key[:32]}.safetensors"

    def read(self) -> tuple[Survival, Survival]:
        if self._path is None or not self._path.is_file():
            return Survival(), Survival()
        try:
            stored = load_tensors(self._path)
        except InputError as error:
            logger.warning("%s; the attack begins anew", error)
            return Survival(), Survival()
        # the file's name alone could be any other file's
        if stored.provenance.get(_OF) != self._key:
            logger.warning("%s is of another attack; this one begins anew", self._path)
            return Survival(), Survival()
        return _unpacked(stored, "found"), _unpacked(stored, "begun")

    def write(self, found: Survival, begun: Survival) -> None:
        if self._path is None:
            return
        parts = {"found": found, "begun": begun}
        tensors = {
            f"{name}.{position:02d}.{part}": mask
            for name, survival in parts.items()
            for position, (part, mask) in enumerate(survival.standing.items())
        }
        about: dict[str, Any] = {
            name: {"rejected": survival.rejected, "seconds": survival.seconds}
            for name, survival in parts.items()
        }
        save_tensors(self._path, Tensors(tensors, {**about, _OF: self._key}))


def _unpacked(stored: Tensors, name: str) -> Survival:
    masks = {}
    for key in sorted(stored.tensors):
        whose, _, part = key.split(".")
        if whose == name:
            masks[part] = stored.tensors[key]
    return Survival(masks, **stored.provenance[name])
