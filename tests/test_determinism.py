"""What the same seed gives again: the stored bytes, and on any number of threads the order of the data."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from robustify.maximisers import make_maximiser
from robustify.objectives import WorstCase
from robustify.training import Recipe, train
from robustify.uncertainty import make_uncertainty_set

from .conftest import LinearNet

SGD = {"name": "sgd", "learning_rate": 0.01}
TRAINING = """
import sys
from pathlib import Path

import torch

from robustify.pipelines.training.nodes import train_net
from robustify.storage import Tensors, save_net

net, optimiser = {"name": sys.argv[1]}, {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9}
epochs = 1 if net["name"] == "vgg" else 2
if net["name"] == "airbench":
    net["widths"] = [4, 6, 8]
    optimiser = {"name": "muon", "learning_rate": 1.0, "filter_learning_rate": 0.1}
generator = torch.Generator().manual_seed(0)
images = torch.randint(256, (40, 3, 32, 32), generator=generator, dtype=torch.uint8)
data = Tensors({"images": images, "labels": torch.arange(40) % 10}, {"data": "cifar10"})
trained, curve = train_net(
    data, data, net,
    {"epochs": epochs, "batch_size": 16, "optimiser": optimiser, "schedule": {"name": "constant"},
     "translation": 2, "flips": True},
    {"label_smoothing": 0.1},
    {"uncertainty_set": {"name": "l2", "radius": 0.5},
     "maximiser": {"name": "projected_gradient", "steps": 2, "random_start": True}},
    int(sys.argv[2]), "cpu", title="trial.l2",
)
save_net(Path("net.safetensors"), trained)
"""


def stored_bytes(folder: Path, net: str, seed: int, **environment: str) -> bytes:
    """Train in a process of its own and return the file of the net."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", TRAINING, net, str(seed)],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, **environment},
    )
    return (folder / "net.safetensors").read_bytes()


@pytest.mark.parametrize("net", ["airbench", "vgg"])
def test_training_twice_stores_the_same_bytes(tmp_path: Path, net: str) -> None:
    # more than one, whatever the tests themselves run on; waiting without spinning, beside others
    threads = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    first = stored_bytes(tmp_path / "first", net, 3, PYTHONHASHSEED="1", **threads)
    again = stored_bytes(tmp_path / "again", net, 3, PYTHONHASHSEED="2", **threads)
    other = stored_bytes(tmp_path / "other", net, 4, PYTHONHASHSEED="1", **threads)
    assert first == again
    assert first != other


class Recording(WorstCase):
    """Takes down the bytes of every batch that it is given."""

    def __init__(self) -> None:
        super().__init__(uncertainty_set=make_uncertainty_set("point"), maximiser=make_maximiser())
        self.seen = hashlib.sha256()

    def __call__(self, net: nn.Module, x: torch.Tensor, labels: torch.Tensor, **keywords):
        self.seen.update(x.contiguous().numpy().data)
        self.seen.update(labels.numpy().data)
        return super().__call__(net, x, labels, **keywords)


def batches_seen(threads: int, seed: int) -> str:
    """Return a hash over what a training of two epochs feeds its net, in that order."""
    generator = torch.Generator().manual_seed(0)
    # large enough that PyTorch shares each operation out among its threads
    images = torch.randint(256, (600, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.randint(10, (600,), generator=generator)
    recording = Recording()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        train(
            LinearNet(3 * 32 * 32, 10),
            images,
            labels,
            objective=recording,
            recipe=Recipe(epochs=2, batch_size=128, optimiser=SGD, translation=2, flips=True),
            seed=seed,
            evaluate=lambda net: 0.0,
            device=torch.device("cpu"),
        )
    finally:
        torch.set_num_threads(before)
    return recording.seen.hexdigest()


def test_order_and_augmentation_are_the_same_on_any_number_of_threads() -> None:
    assert batches_seen(1, seed=0) == batches_seen(2, seed=0) == batches_seen(5, seed=0)
    assert batches_seen(1, seed=0) != batches_seen(1, seed=1)
