"""A small net on MNIST, stored beside the tests, and what the AutoAttack authors' own code leaves standing of it.

The net is made anew by ``python -m tests.attacks.small_net``, the expected answers by

    python -m tests.attacks.compare_with_authors --checkout PATH/auto-attack --small-net --images 400 --batch-size 400 \
        --norm linf=0.14 --norm l2=1.5 --norm l1=7.0 --together --store tests/attacks/data/authors.json
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from robustify.maximisers import make_maximiser
from robustify.nets.standardise import MNIST_MEAN, MNIST_STD, Standardise
from robustify.objectives import make_objective
from robustify.training import train
from robustify.training.recipe import Recipe
from robustify.uncertainty import make_uncertainty_set

DATA = Path(__file__).parent / "data"
WEIGHTS = DATA / "small_net.safetensors"
EXPECTED = DATA / "authors.json"


def empty_net() -> nn.Module:
    return nn.Sequential(
        Standardise(MNIST_MEAN, MNIST_STD),
        nn.Conv2d(1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def small_net() -> nn.Module:
    net = empty_net()
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval()


def main() -> None:
    """Train the net on single l∞ steps, so that some images stand under strong attacks and some fall."""
    stored = load_file("data/01_raw/mnist.safetensors")
    net = empty_net()
    train(
        net,
        stored["train_images"],
        stored["train_labels"].long(),
        objective=make_objective(
            uncertainty_set=make_uncertainty_set("linf", radius=0.05), maximiser=make_maximiser()
        ),
        recipe=Recipe(
            epochs=3,
            batch_size=128,
            optimiser={"name": "sgd", "learning_rate": 0.01},
            schedule={"name": "triangle", "warmup": 0.3},
            radius_warmup=0.5,
            precision="float32",
        ),
        seed=0,
        evaluate=lambda net: 0.0,
        device=torch.device("cpu"),
    )
    DATA.mkdir(exist_ok=True)
    save_file({name: weight.contiguous() for name, weight in net.state_dict().items()}, WEIGHTS)


if __name__ == "__main__":
    main()
