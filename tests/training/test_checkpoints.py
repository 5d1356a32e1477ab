from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch

from robustify.maximisers import ProjectedGradient, make_maximiser
from robustify.measurement import accuracy
from robustify.nets import make_net
from robustify.objectives import WorstCase
from robustify.storage import Tensors, tensors_sha256
from robustify.training import DivergenceError, OutOfMemoryError, Recipe, train
from robustify.training.checkpoints import Checkpoints
from robustify.training.watch import Watch
from robustify.uncertainty import make_uncertainty_set

from .test_training import images

SGD = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
MUON = {
    "name": "muon", "learning_rate": 1.0, "filter_learning_rate": 0.1, "weight_decay": 1e-4,
}  # fmt: skip
NETS = {
    "mnist_convnet": (SGD, {}),
    "airbench": (MUON, {"widths": [4, 6, 8]}),
    "vgg": (SGD, {}),
}


# the VGG's kinds of layers, at an eighth of its width
NARROW = ((8, 8), (16, 16), (32, 32, 32), (64, 64, 64), (64, 64, 512))


@pytest.fixture(autouse=True)
def narrow_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustify.nets.vgg.BLOCKS", NARROW)


class StopError(Exception):
    """Stands for whatever ends a process."""


def pictures(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    grey, labels = images(48)
    if name == "mnist_convnet":
        return grey, labels
    return torch.nn.functional.pad(grey, (2, 2, 2, 2)).repeat(1, 3, 1, 1), labels


# what is chosen on held-out images, an average of the weights and a growing radius, all at once
CHOOSING = {
    "held_out": 6,
    "watch": Watch(steps=4, relative_step=0.3, keep="best", action="restore"),
    "averaging": 0.8,
    "radius_warmup": 0.5,
}


def run(
    name: str,
    folder: Path | None,
    *,
    stop_after: int | None = None,
    epochs: int = 3,
    chosen: Mapping[str, Any] = MappingProxyType({}),
    optimiser: Mapping[str, Any] | None = None,
):
    """Train with random starts, dropout and augmentation; stop in the evaluation of an epoch."""
    usual, options = NETS[name]
    x, labels = pictures(name)
    net = make_net(name, **options)
    evaluated = []

    def evaluate(net: torch.nn.Module) -> float:
        evaluated.append(1)
        if len(evaluated) == stop_after:
            raise StopError
        return accuracy(net, x, labels)

    curve = train(
        net,
        x,
        labels,
        objective=WorstCase(
            uncertainty_set=make_uncertainty_set("linf", radius=0.05),
            maximiser=ProjectedGradient(steps=2, random_start=True),
        ),
        recipe=Recipe(
            epochs=epochs,
            batch_size=13,
            optimiser=dict(optimiser or usual),
            translation=1,
            flips=True,
            **chosen,
        ),
        seed=1,
        evaluate=evaluate,
        checkpoints=Checkpoints(folder, fingerprint="its own") if folder else None,
    )
    weights = tensors_sha256(dict(net.state_dict()))
    return weights, [replace(epoch, seconds=0.0) for epoch in curve], evaluated


@pytest.mark.parametrize(
    ("name", "stop_after"),
    [
        ("mnist_convnet", 1),
        ("mnist_convnet", 2),
        ("mnist_convnet", 3),
        ("airbench", 2),
        ("vgg", 2),
    ],
)
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    tmp_path: Path, name: str, stop_after: int
) -> None:
    whole = run(name, None)
    with pytest.raises(StopError):
        run(name, tmp_path, stop_after=stop_after)
    assert len(list(tmp_path.iterdir())) == min(stop_after - 1, 2)
    resumed = run(name, tmp_path)
    assert resumed[:2] == whole[:2]
    assert len(resumed[2]) == 3 - (stop_after - 1)


def test_adams_count_of_steps_is_taken_up_again_too(tmp_path: Path) -> None:
    adam = {"name": "adam", "learning_rate": 0.001, "weight_decay": 0.01}
    whole = run("airbench", None, optimiser=adam)
    assert whole[0] != run("airbench", None)[0]
    with pytest.raises(StopError):
        run("airbench", tmp_path, stop_after=3, optimiser=adam)
    assert run("airbench", tmp_path, optimiser=adam)[:2] == whole[:2]


def test_what_a_killed_process_was_writing_goes_with_the_next_checkpoint(tmp_path: Path) -> None:
    (tmp_path / ".step-000000003.safetensors.partial").write_bytes(b"half")
    run("mnist_convnet", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000012.safetensors"]


@pytest.mark.parametrize(
    ("name", "stop_after"), [("mnist_convnet", 1), ("airbench", 2), ("airbench", 3), ("vgg", 3)]
)
def test_what_held_out_images_choose_is_taken_up_again_too(
    tmp_path: Path, name: str, stop_after: int
) -> None:
    whole = run(name, None, chosen=CHOOSING)
    assert whole[0] != run(name, None, chosen={"held_out": 6})[0]
    assert sum(epoch.kept for epoch in whole[1]) == 1
    with pytest.raises(StopError):
        run(name, tmp_path, stop_after=stop_after, chosen=CHOOSING)
    assert run(name, tmp_path, chosen=CHOOSING)[:2] == whole[:2]
    again = run(name, tmp_path, chosen=CHOOSING)
    assert again[:2] == whole[:2]
    assert again[2] == []


def test_a_watch_that_only_warns_changes_no_bit() -> None:
    watched = run("airbench", None, chosen={"held_out": 6, "watch": Watch(threshold=0.001)})
    unwatched = run("airbench", None, chosen={"held_out": 6})
    assert watched[0] == unwatched[0]
    assert [epoch.kept for epoch in watched[1]] == [False, False, True]
    assert [epoch.kept for epoch in unwatched[1]] == [None, None, None]


def test_a_finished_training_is_loaded_not_repeated(tmp_path: Path) -> None:
    first = run("mnist_convnet", tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    again = run("mnist_convnet", tmp_path)
    assert again[:2] == first[:2]
    assert again[2] == []


@pytest.mark.parametrize("chosen", [{}, CHOOSING], ids=["plain", "choosing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_epoch_goes_on_from_its_very_step(
    tmp_path: Path, number: signal.Signals, chosen: dict[str, Any]
) -> None:
    whole = run("airbench", None, chosen=chosen)

    class Interrupting(Checkpoints):
        def save(self, state: Tensors, *, step: int) -> None:
            super().save(state, step=step)
            saved.append(step)

    saved: list[int] = []
    optimiser, options = NETS["airbench"]
    x, labels = pictures("airbench")
    calls = []

    class Signalling(WorstCase):
        def __call__(self, *arguments, **keywords):
            calls.append(1)
            if len(calls) == 6:
                os.kill(os.getpid(), number)
            return super().__call__(*arguments, **keywords)

    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(
                make_net("airbench", **options),
                x,
                labels,
                objective=Signalling(
                    uncertainty_set=make_uncertainty_set("linf", radius=0.05),
                    maximiser=ProjectedGradient(steps=2, random_start=True),
                ),
                recipe=Recipe(
                    epochs=3,
                    batch_size=13,
                    optimiser=optimiser,
                    translation=1,
                    flips=True,
                    **chosen,
                ),
                seed=1,
                evaluate=lambda net: accuracy(net, x, labels),
                checkpoints=Interrupting(tmp_path, fingerprint="its own"),
            )
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert saved == [4, 6]
    assert run("airbench", tmp_path, chosen=chosen)[:2] == whole[:2]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path: Path) -> None:
    whole = run("mnist_convnet", None)
    with pytest.raises(StopError):
        run("mnist_convnet", tmp_path, stop_after=3)
    latest = sorted(tmp_path.iterdir())[-1]
    latest.write_bytes(latest.read_bytes()[:-7])
    resumed = run("mnist_convnet", tmp_path)
    assert resumed[:2] == whole[:2]
    assert len(resumed[2]) == 2


class Spoilt(WorstCase):
    """A loss or a weight that is off from the seventh step on."""

    def __init__(self, spoil: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__(uncertainty_set=make_uncertainty_set("point"), maximiser=make_maximiser())
        self.spoil, self.calls = spoil, 0

    def __call__(self, net, x, labels, *, generator):
        self.calls += 1
        loss = super().__call__(net, x, labels, generator=generator)
        return self.spoil(net, loss) if self.calls >= 7 else loss


def explode(net: torch.nn.Module, loss: torch.Tensor) -> torch.Tensor:
    # the loss is what it was, the gradient infinite: only the next step's loss would show it
    weight = net[-1].weight
    return loss + torch.nan_to_num((weight - weight.detach()).sum()) * 1e38 * 1e38


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        (lambda net, loss: loss * float("nan"), 3),
        (lambda net, loss: loss * 0 + 20_000, 3),
        (lambda net, loss: loss * float("inf"), 3),
    ],
    ids=["nan", "huge", "infinite"],
)
def test_a_diverging_loss_names_its_step(spoil: Any, step: int) -> None:
    x, labels = images(32)
    with pytest.raises(DivergenceError, match=rf"from step {step} of epoch 2 on"):
        train(
            make_net("mnist_convnet"),
            x,
            labels,
            objective=Spoilt(spoil),
            recipe=Recipe(epochs=3, batch_size=8, optimiser=SGD),
            seed=0,
            evaluate=lambda net: 0.0,
        )


def test_weights_spoilt_by_the_last_step_are_not_stored(tmp_path: Path) -> None:
    x, labels = images(32)
    objective = Spoilt(lambda net, loss: loss)
    steps = iter(range(100))

    def spoil(net: torch.nn.Module, loss: torch.Tensor) -> torch.Tensor:
        # of eight steps the last one
        return explode(net, loss) if next(steps) == 1 else loss

    objective.spoil = spoil
    with pytest.raises(DivergenceError, match=r"from step 4 of epoch 2 on; .*step-000000004"):
        train(
            make_net("mnist_convnet"),
            x,
            labels,
            objective=objective,
            recipe=Recipe(epochs=2, batch_size=8, optimiser=SGD),
            seed=0,
            evaluate=lambda net: 0.0,
            checkpoints=Checkpoints(tmp_path, fingerprint="its own"),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000004.safetensors"]


def test_a_diverging_loss_names_epoch_step_and_last_good_checkpoint(tmp_path: Path) -> None:
    x, labels = images(32)
    calls = []

    class Diverging(WorstCase):
        def __call__(self, *arguments, **keywords):
            calls.append(1)
            loss = super().__call__(*arguments, **keywords)
            return loss * float("nan") if len(calls) == 7 else loss

    with pytest.raises(
        DivergenceError, match=r"from step 3 of epoch 2 on; .*learning_rate.*step-000000004\.safet"
    ):
        train(
            make_net("mnist_convnet"),
            x,
            labels,
            objective=Diverging(
                uncertainty_set=make_uncertainty_set("point"), maximiser=make_maximiser()
            ),
            recipe=Recipe(epochs=3, batch_size=8, optimiser=SGD),
            seed=0,
            evaluate=lambda net: 0.0,
            checkpoints=Checkpoints(tmp_path, fingerprint="its own"),
        )


def test_a_shortage_of_memory_names_the_parameter_to_lower() -> None:
    x, labels = images(32)

    class Greedy(WorstCase):
        def __call__(self, *arguments, **keywords):
            torch.empty(2**50)
            return super().__call__(*arguments, **keywords)

    with pytest.raises(OutOfMemoryError, match=r"lower training\.batch_size \(now 8\)"):
        train(
            make_net("mnist_convnet"),
            x,
            labels,
            objective=Greedy(
                uncertainty_set=make_uncertainty_set("point"), maximiser=make_maximiser()
            ),
            recipe=Recipe(epochs=1, batch_size=8, optimiser=SGD),
            seed=0,
            evaluate=lambda net: 0.0,
        )


def test_what_was_passed_over_as_damaged_costs_no_new_state(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, fingerprint="its own")
    states = {step: Tensors({"weight": torch.full((3,), float(step))}) for step in (1, 2, 3, 8, 9)}
    for step in (8, 9):
        checkpoints.save(states[step], step=step)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-7])
    assert checkpoints.latest() is None
    for step in (1, 2, 3):
        checkpoints.save(states[step], step=step)
        latest = checkpoints.latest()
        assert latest is not None
        assert torch.equal(latest.tensors["weight"], states[step].tensors["weight"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000002.safetensors",
        "step-000000003.safetensors",
    ]
    (tmp_path / "step-000000009.safetensors").write_bytes(b"damaged")
    checkpoints.finish(states[3], step=3)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003.safetensors"]


def test_another_trainings_state_is_not_taken_up(tmp_path: Path) -> None:
    mine, others = (
        Checkpoints(tmp_path / name, fingerprint=name) for name in ("mine", "other training")
    )
    mine.save(Tensors({"weight": torch.zeros(3)}), step=3)
    others.save(Tensors({"weight": torch.ones(3)}), step=7)
    (there,) = (tmp_path / "other training").iterdir()
    there.rename(tmp_path / "mine" / there.name)
    # nor is a folder
    (tmp_path / "mine" / "step-000000009.safetensors").mkdir()
    latest = mine.latest()
    assert latest is not None
    assert torch.equal(latest.tensors["weight"], torch.zeros(3))
    (tmp_path / "mine" / "step-000000003.safetensors").unlink()
    assert mine.latest() is None
