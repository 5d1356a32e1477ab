"""The slice that isn't trained on, and that the test set chooses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from robustify.errors import InputError
from robustify.pipelines.training.nodes import train_net
from robustify.storage import Tensors, tensors_sha256
from robustify.training.held_out import split

from .test_training import images


def test_classes_are_held_out_in_equal_numbers_and_nothing_is_lost() -> None:
    labels = torch.tensor([0] * 50 + [1] * 9 + [2] * 20)[torch.randperm(79)]
    trained_on, held = split(labels, 14)
    assert labels[held].bincount().tolist() == [5, 5, 4]
    assert sorted([*trained_on.tolist(), *held.tolist()]) == list(range(79))
    assert trained_on.tolist() == sorted(trained_on.tolist())
    # any first part is as balanced as the whole
    assert labels[held[:7]].bincount().tolist() == [3, 2, 2]


def test_the_slice_is_fixed_and_not_the_first_images() -> None:
    labels = torch.arange(1000) % 10
    before = torch.get_rng_state()
    first, again = split(labels, 100)[1], split(labels, 100)[1]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again)
    assert first.max() > 500
    trained_on, held = split(labels, 0)
    assert torch.equal(trained_on, torch.arange(1000))
    assert len(held) == 0


def test_no_class_is_left_without_a_training_image() -> None:
    labels = torch.tensor([0] * 50 + [1] * 4)
    assert len(split(labels, 7)[1]) == 7
    with pytest.raises(InputError, match=r"held_out is 8, .*only 4 .*training\.held_out"):
        split(labels, 8)
    with pytest.raises(InputError, match="held_out is -3; it must be a whole number, at least 0"):
        split(labels, -3)


WATCH = {"action": "restore", "keep": "best", "patience": 2, "steps": 4, "relative_step": 0.3}


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, test_labels: torch.Tensor):
    folder.mkdir()
    monkeypatch.chdir(folder)
    pictures, labels = images(48)
    return train_net(
        Tensors({"images": pictures, "labels": labels}, {"data": "mnist"}),
        Tensors({"images": pictures, "labels": test_labels}, {"data": "mnist"}),
        {"name": "mnist_convnet"},
        {
            "epochs": 4, "batch_size": 10, "schedule": {"name": "constant"},
            "optimiser": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
            "held_out": 8, "watch": WATCH, "averaging": 0.9,
        },
        {},
        {"uncertainty_set": {"name": "linf", "radius": 0.1}},
        0,
        "cpu",
        title="trial.linf",
    )  # fmt: skip


def test_the_test_set_chooses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, labels = images(48)
    nets, curves = zip(
        *(
            trained(tmp_path / name, monkeypatch, test_labels)
            for name, test_labels in (
                ("true", labels),
                (
                    "permuted",
                    labels[torch.randperm(48, generator=torch.Generator().manual_seed(0))],
                ),
                ("wrong", (labels + 1) % 4),
            )
        ),
        strict=True,
    )
    weights = {tensors_sha256(dict(net.net.state_dict())) for net in nets}
    assert len(weights) == 1
    assert curves[0]["kept"].tolist() == curves[1]["kept"].tolist() == curves[2]["kept"].tolist()
    assert curves[0]["test_accuracy"].tolist() != curves[2]["test_accuracy"].tolist()


def test_held_out_labels_do_choose_but_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, labels = images(48)
    _, held = split(labels, 8)
    net, curve = trained(tmp_path / "true", monkeypatch, labels)
    kept = curve[curve["kept"]]
    assert len(kept) == 1
    assert kept["held_out_pgd_accuracy"].item() == curve["held_out_pgd_accuracy"].max()
    about = net.provenance["selection"]
    assert about["epoch"] == kept["epoch"].item()
    assert about["epochs"] == len(curve)
    assert about["held_out"]["pgd_accuracy"] == kept["held_out_pgd_accuracy"].item()
    assert net.provenance["test_accuracy"] == kept["test_accuracy"].item()

    seen = []

    def record(self, net, x, labels, **keywords):
        seen.append(x)
        return original(self, net, x, labels, **keywords)

    from robustify.objectives import WorstCase

    original = WorstCase.__call__
    monkeypatch.setattr(WorstCase, "__call__", record)
    trained(tmp_path / "watched", monkeypatch, labels)
    pictures, _ = images(48)
    fed = {bytes((x * 255).round().to(torch.uint8).numpy().tobytes()) for x in torch.cat(seen)}
    assert len(fed) == 40
    assert not fed & {picture.numpy().tobytes() for picture in pictures[held]}
