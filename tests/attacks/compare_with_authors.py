"""Runs these attacks and the authors' own on the same net and images, side by side.

Not a test: it needs a checkout of https://github.com/fra31/auto-attack and a stored net. Example:

    python -m tests.attacks.compare_with_authors --checkout PATH/auto-attack \
        --net data/06_models/mnist/linf.safetensors --images 100 --norm linf=0.1 --norm l2=1
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from robustify import load_net
from robustify.attacks import ApgdTargeted, Attack, FabTargeted, Square, standard_attacks
from robustify.attacks.auto import AutoAttack
from robustify.attacks.evaluation import CLEAN, lies_inside, robust_accuracy
from robustify.errors import InputError
from robustify.measurement import predict
from robustify.nets import make_net
from robustify.uncertainty import NormBall, make_uncertainty_set

from .small_net import small_net

AUTHORS_NORMS = {"l1": "L1", "l2": "L2", "linf": "Linf"}
AUTHORS_ATTACKS = {"apgd_ce": "apgd-ce", "apgd_t": "apgd-t", "fab_t": "fab-t", "square": "square"}


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    sys.path.insert(0, str(arguments.checkout))
    net = small_net() if arguments.small_net else read_net(arguments.net, arguments.architecture)
    net = net.to(arguments.device).eval()
    stored = load_file(arguments.data)
    chosen = slice(arguments.first, arguments.first + arguments.images)
    images, labels = stored["test_images"][chosen], stored["test_labels"][chosen].long()
    standing: dict[str, dict[str, list[int]]] = {}
    for setting in arguments.norm:
        norm, radius = setting.split("=")
        ball = make_uncertainty_set(norm, radius=float(radius))
        assert isinstance(ball, NormBall)
        print(f"\n{norm} {radius}, {len(images)} images, seed {arguments.seed}", flush=True)
        print(f"{'attack':<14}{'ours':>8}{'s':>8}{'authors':>10}{'s':>8}{'disagree':>10}")
        standing[setting] = compare(net, images, labels, ball, arguments)
    if arguments.store:
        content = {"images": len(images), "standing": standing}
        arguments.store.write_text(json.dumps(content) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--net", type=Path)
    which.add_argument("--small-net", action="store_true", help="the one stored beside the tests")
    parser.add_argument(
        "--store", type=Path, help="write down what the authors' code left standing"
    )
    parser.add_argument("--architecture", default="mnist_convnet", help="if the file doesn't say")
    parser.add_argument("--data", type=Path, default=Path("data/01_raw/mnist.safetensors"))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--norm", action="append", required=True, help="e.g. l2=1.0")
    parser.add_argument("--attack", action="append", choices=list(AUTHORS_ATTACKS))
    parser.add_argument("--queries", type=int, help="of the Square Attack, if not 5000")
    parser.add_argument("--targets", type=int, help="target classes, if not the standard ones")
    parser.add_argument("--together", action="store_true", help="one after the other, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def read_net(path: Path, architecture: str) -> nn.Module:
    try:
        return load_net(path)
    except InputError as error:
        print(f"{error}; reading its tensors into a {architecture}")
        net = make_net(architecture)
        net.load_state_dict(load_file(path))
        return net


def compare(
    net: nn.Module, images: Tensor, labels: Tensor, ball: NormBall, arguments: argparse.Namespace
) -> dict[str, list[int]]:
    """Print the number of images that each attack alone (and all in a row, if asked for) leaves standing.

    Returns:
        By attack, the images that the authors' code leaves standing.
    """
    standing = {}
    parts = [
        part
        for part in standard_attacks(ball)
        if arguments.attack is None or part.name in arguments.attack
    ]
    for part in parts:
        if isinstance(part, Square) and arguments.queries:
            part.queries = arguments.queries
        if isinstance(part, ApgdTargeted | FabTargeted) and arguments.targets:
            part.target_classes = arguments.targets
    runs: list[list[Attack]] = [[part] for part in parts]
    if arguments.together:
        runs.append(parts)
    for run in runs:
        begin = time.perf_counter()
        ours = robust_accuracy(
            net,
            images,
            labels,
            AutoAttack(run),
            ball,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
        )
        middle = time.perf_counter()
        theirs = run_authors(net, images, labels, ball, run, arguments)
        end = time.perf_counter()
        name = "all" if run is parts else run[0].name
        mine = ours.state.still_standing
        print(
            f"{name:<14}{int(mine.sum()):>8}{middle - begin:>8.1f}{int(theirs.sum()):>10}"
            f"{end - middle:>8.1f}{int((mine != theirs).sum()):>10}"
            f"   clean {ours.right[CLEAN]}, ours {ours.right}, rejected {ours.rejected}",
            flush=True,
        )
        standing[name] = theirs.nonzero()[:, 0].tolist()
    return standing


def run_authors(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    ball: NormBall,
    run: list[Attack],
    arguments: argparse.Namespace,
) -> Tensor:
    """Return which images the authors' code leaves standing, by our own verification."""
    theirs = importlib.import_module("autoattack").AutoAttack(
        net,
        norm=AUTHORS_NORMS[ball.name],
        eps=ball.radius,
        version="standard",
        device=arguments.device,
        seed=arguments.seed,
        verbose=False,
    )
    theirs.attacks_to_run = [AUTHORS_ATTACKS[part.name] for part in run]
    if arguments.queries:
        theirs.square.n_queries = arguments.queries
    if arguments.targets:
        theirs.apgd_targeted.n_target_classes = arguments.targets
        theirs.fab.n_target_classes = arguments.targets
    x = images.float() / 255
    found = theirs.run_standard_evaluation(x, labels, bs=arguments.batch_size).cpu()
    outside = ~lies_inside(found, x, ball)
    if bool(outside.any()):
        print(f"  {int(outside.sum())} of the authors' points lie outside ball and box")
    return predict(net, found) == labels


if __name__ == "__main__":
    main()
