"""Catastrophic overfitting, planted: what stands firm against one long step and falls to several short ones."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.maximisers import make_maximiser
from robustify.objectives import WorstCase
from robustify.training import selection as module
from robustify.training import train
from robustify.training.checkpoints import Checkpoints
from robustify.training.recipe import Epoch, Recipe
from robustify.training.selection import Selection
from robustify.training.watch import Seen, Watch, look
from robustify.uncertainty import LinfBall, make_uncertainty_set

EPSILON = 0.2
# of the dark and the bright class
LEVELS = (51, 204)


class StopError(Exception):
    """Stands for whatever ends a process."""


class Masked(nn.Module):
    """Right in the middle of the l∞ ball and where one step of its whole radius ends, wrong half way there."""

    def margin(self, brightness: Tensor) -> Tensor:
        bright = brightness > 0.5
        centre = torch.where(bright, LEVELS[1] / 255, LEVELS[0] / 255)
        wave = torch.cos(2 * math.pi * (brightness - centre) / EPSILON + 0.3)
        return torch.where(bright, wave, -wave)

    def forward(self, x: Tensor) -> Tensor:
        margin = self.margin(x.flatten(1).mean(dim=1))
        return torch.stack([-margin, margin], dim=1)


class Turning(Masked):
    """An honest net until it has been trained for so many passes, a masked one from then on.

    Its answer is honest if it grows with brightness: the classes are 0.6 apart, the ball reaches 0.2 far.
    """

    passes: Tensor

    def __init__(self, turn: int) -> None:
        super().__init__()
        self.turn = turn
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.passes += 1
        brightness = x.flatten(1).mean(dim=1)
        honest = brightness - 0.5 if self.passes <= self.turn else self.margin(brightness)
        return torch.stack([-self.scale * honest, self.scale * honest], dim=1)


def pictures(count: int) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % 2
    levels = torch.tensor(LEVELS, dtype=torch.uint8)[labels]
    return levels.view(-1, 1, 1, 1).expand(count, 1, 2, 2).contiguous(), labels


class Planted(Masked):
    """Masked, with a parameter as every net has one."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))


def ball(radius: float = EPSILON):
    return make_uncertainty_set("linf", radius=radius)


def test_one_step_is_fooled_by_the_mask_and_ten_are_not() -> None:
    seen = look(Planted().train(), *pictures(20), ball(), Watch())
    assert seen == Seen(accuracy=1.0, fgsm_accuracy=1.0, pgd_accuracy=0.0)


def test_an_honest_net_is_seen_as_it_is() -> None:
    images, labels = pictures(20)
    net = Turning(turn=10).train()
    # to cross 0.5 a bright image (0.8) has to darken by 0.3, a dark one (0.2) to brighten as much
    assert look(net, images, labels, ball(0.29), Watch()) == Seen(1.0, 1.0, 1.0)
    assert look(net, images, labels, ball(0.31), Watch()) == Seen(1.0, 0.0, 0.0)
    assert net.training
    assert int(net.passes) == 0
    assert net.scale.grad is None


def test_a_net_on_points_is_looked_at_on_the_points() -> None:
    point = make_uncertainty_set("point")
    assert Watch(epsilon=0.1).ball_of(point) is point
    assert look(Planted(), *pictures(20), point, Watch()) == Seen(1.0, 1.0, 1.0)


def test_the_ball_is_the_nets_own_within_the_box_unless_epsilon_says_otherwise() -> None:
    own = make_uncertainty_set("l2", radius=0.7, step="unclipped")
    for watch, radius in ((Watch(), 0.7), (Watch(epsilon=0.2), 0.2)):
        found = watch.ball_of(own)
        assert (found.name, found.radius, found.step) == ("l2", radius, "box_aware")
    with pytest.raises(InputError, match="'tangent' is no norm ball"):
        Watch().ball_of(make_uncertainty_set("tangent", radius=1.0))


def test_only_so_many_images_are_looked_at_whatever_the_batches() -> None:
    images, labels = pictures(1300)
    wrong = labels.clone()
    wrong[700:] = 1 - wrong[700:]
    net = Turning(turn=10)
    assert look(net, images, wrong, ball(0.1), Watch(images=700)).pgd_accuracy == 1.0
    assert look(net, images, wrong, ball(0.1), Watch()).pgd_accuracy == pytest.approx(7 / 13)


def course(
    *, epochs: int = 5, turn: int = 8, checkpoints: Checkpoints | None = None, **watch: Any
) -> tuple[Turning, list[Epoch]]:
    """Train for two steps an epoch, of two passes each, on 12 of 16 images."""
    net = Turning(turn)
    images, labels = pictures(16)
    records = train(
        net,
        images,
        labels,
        objective=WorstCase(uncertainty_set=ball(), maximiser=make_maximiser()),
        recipe=Recipe(
            epochs=epochs,
            batch_size=8,
            optimiser={"name": "sgd", "learning_rate": 0.1},
            held_out=4,
            watch=Watch(**watch),
        ),
        seed=0,
        evaluate=lambda net: 0.0,
        device=torch.device("cpu"),
        checkpoints=checkpoints,
    )
    return net, records


def test_a_planted_overfitting_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        net, records = course(action="warn")
    assert [record.overfits for record in records] == [False, False, True, True, True]
    assert [record.kept for record in records] == [False] * 4 + [True]
    assert records[2].seen == Seen(1.0, 1.0, 0.0)
    assert int(net.passes) == 20
    assert "catastrophic overfitting in epoch 3" in caplog.text


def test_an_overfitting_that_no_epoch_is_free_of_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        course(action="restore", turn=8)
        assert "no epoch before has better ones" not in caplog.text
        _, records = course(action="restore", turn=1)
    assert [(record.overfits, record.kept) for record in records] == [(True, True)]
    assert "those weights are overfitted, and no epoch before has better ones" in caplog.text


def test_a_planted_overfitting_stops_the_training() -> None:
    net, records = course(action="stop")
    assert len(records) == 3
    assert records[2].kept
    assert int(net.passes) == 12


@pytest.mark.parametrize("stopped_after", [None, 1, 2])
def test_a_planted_overfitting_is_undone(
    tmp_path: Path, stopped_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stopped_after is not None:
        looked = []

        def interrupted(*arguments: Any) -> Seen:
            looked.append(1)
            if len(looked) > stopped_after:
                raise StopError
            return look(*arguments)

        with monkeypatch.context() as patched, pytest.raises(StopError):
            patched.setattr(module, "look", interrupted)
            course(action="restore", checkpoints=Checkpoints(tmp_path, fingerprint="its own"))
    net, records = course(
        action="restore", checkpoints=Checkpoints(tmp_path, fingerprint="its own")
    )
    assert [record.overfits for record in records] == [False, False, True]
    # both honest epochs survive everything; the first of them counts
    assert [record.kept for record in records] == [True, False, False]
    assert int(net.passes) == 4
    again, told = course(action="restore", checkpoints=Checkpoints(tmp_path, fingerprint="its own"))
    assert told == records
    assert int(again.passes) == 4
    assert torch.equal(again.scale, net.scale)


def test_progress_and_metrics_show_one_step_against_several() -> None:
    epoch = Epoch(3, 0.5, 0.9, 1.0, seen=Seen(0.98, 0.95, 0.125), overfits=True, kept=True)
    shown = epoch.progress(5)
    assert (shown["held-out"], shown["one-step"], shown["pgd"]) == ("98.0%", "95.0%", "12.5%")
    assert epoch.metrics() == {
        "loss": 0.5, "test_accuracy": 0.9, "seconds": 1.0, "overfits": 1.0, "held_out_accuracy": 0.98,
        "held_out_fgsm_accuracy": 0.95, "held_out_pgd_accuracy": 0.125,
    }  # fmt: skip
    assert Epoch(3, 0.5, 0.9, 1.0).row() == {
        "epoch": 3, "loss": 0.5, "test_accuracy": 0.9, "seconds": 1.0,
    }  # fmt: skip


def judged(
    monkeypatch: pytest.MonkeyPatch,
    seen: list[tuple[float, float]],
    *,
    full_from: int = 1,
    **watch: Any,
) -> tuple[Selection, list[bool], int]:
    """Feed FGSM and PGD accuracies of one epoch after another; the net's weight is its epoch."""
    answers = iter(seen)
    monkeypatch.setattr(module, "look", lambda *arguments: Seen(1.0, *next(answers)))
    selection = Selection(Watch(**watch), *pictures(4), ball())
    net, alarms = nn.Linear(1, 1), []
    for epoch in range(1, len(seen) + 1):
        net.weight.data.fill_(epoch)
        _, overfits = selection.judge(net, epoch, at_full_radius=epoch >= full_from)
        alarms.append(overfits)
        if selection.ending:
            break
    return selection, alarms, epoch


def test_the_threshold_is_on_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [(0.75, 0.5), (0.75, 0.25), (0.5, 0.25)]
    _, alarms, _ = judged(monkeypatch, seen, threshold=0.25)
    assert alarms == [False, True, False]
    _, alarms, _ = judged(monkeypatch, seen, threshold=0.125)
    assert alarms == [True, True, True]


def test_while_the_radius_grows_nothing_is_called_overfitting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = [(0.9, 0.0), (0.9, 0.1), (0.9, 0.8), (0.9, 0.1)]
    selection, alarms, last = judged(monkeypatch, seen, full_from=3, action="restore", patience=1)
    assert alarms == [False, False, False, True]
    assert (last, selection.best, selection.ending) == (4, 3, "catastrophic_overfitting")
    assert float(selection.weights["weight"]) == 3


@pytest.mark.parametrize(
    ("accuracies", "patience", "ends", "best"),
    [
        ([0.5, 0.6, 0.6, 0.59, 0.7], 2, 4, 2),
        ([0.5, 0.6, 0.6, 0.7, 0.6], 2, 5, 4),
        ([0.5, 0.4, 0.3], None, 3, 1),
    ],
)
def test_patience_counts_epochs_since_the_highest(
    monkeypatch: pytest.MonkeyPatch,
    accuracies: list[float],
    patience: int | None,
    ends: int,
    best: int,
) -> None:
    seen = [(accuracy, accuracy) for accuracy in accuracies]
    selection, _, last = judged(monkeypatch, seen, patience=patience, keep="best")
    assert (last, selection.best) == (ends, best)
    assert (selection.ending == "patience") == (ends < len(accuracies))
    assert selection.restores
    assert float(selection.weights["weight"]) == best


def test_patience_begins_at_the_full_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [(share, share) for share in (0.9, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.3)]
    selection, _, last = judged(monkeypatch, seen, full_from=4, patience=3)
    assert (last, selection.best, selection.ending) == (6, 1, "patience")
    again = Selection(Watch(patience=3), *pictures(4), ball())
    again.restore(*selection.state())
    assert again.state()[1] == selection.state()[1]


@pytest.mark.parametrize(
    ("action", "keep", "overfitted", "restores"),
    [
        ("warn", "last", False, False),
        ("warn", "best", False, True),
        ("restore", "last", False, False),
        ("restore", "last", True, True),
        ("stop", "last", True, False),
        ("stop", "best", True, True),
    ],
)
def test_whose_weights_count(
    monkeypatch: pytest.MonkeyPatch, action: str, keep: str, overfitted: bool, restores: bool
) -> None:
    seen = [(0.9, 0.8), (0.9, 0.1 if overfitted else 0.75)]
    selection, _, _ = judged(monkeypatch, seen, action=action, keep=keep)
    assert selection.restores == restores


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"action": "panic"}, r"watch\.action is 'panic'; known: warn, stop, restore"),
        ({"keep": "first"}, r"watch\.keep is 'first'; known: last, best"),
        ({"patience": 0}, r"watch\.patience is 0"),
        ({"images": 0}, r"watch\.images is 0"),
        ({"threshold": 0.0}, r"watch\.threshold is 0"),
        ({"threshold": "x"}, r"watch\.threshold is 'x'"),
        ({"epsilon": -1}, r"watch\.epsilon is -1; it must be a finite number > 0"),
        ({"epsilon": "x"}, r"watch\.epsilon is 'x'"),
        ({"steps": 3}, "3 steps of 0.25 radii can't cross the ball"),
        ({"relative_step": 3.0}, r"relative_step is 3\.0; it must be in \(0, 2\]"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        Watch(**options)


def test_there_is_nothing_to_watch_without_held_out_images() -> None:
    with pytest.raises(InputError, match="held_out is 0; raise it"):
        Recipe(epochs=1, batch_size=1, optimiser={"name": "sgd"}, watch=Watch())
    with pytest.raises(InputError, match="looks at 9 images, but held_out is 8"):
        Recipe(epochs=1, batch_size=1, optimiser={"name": "sgd"}, held_out=8, watch=Watch(images=9))


def test_answers_that_are_no_numbers_count_as_wrong(linear_net) -> None:
    with torch.no_grad():
        linear_net.linear.weight.fill_(torch.nan)
    images = torch.randint(256, (6, 3, 2, 2), dtype=torch.uint8)
    seen = look(linear_net, images, torch.zeros(6).long(), LinfBall(radius=0.1), Watch(epsilon=0.1))
    assert (seen.accuracy, seen.fgsm_accuracy, seen.pgd_accuracy) == (0, 0, 0)
