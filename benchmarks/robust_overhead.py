"""What Algorithm 1 costs: seconds per robust epoch over seconds per standard epoch.

Same net, same real images, one process; the contenders train whole epochs (augmentation and all steps, no
evaluation) in turns. The paper says 2; counting passes gives about 5/3, for the ascent step
needs no weight gradients.

The peers: foolbox (LinfFastGradientAttack), torchattacks (FGSM) and ART (FastGradientMethod on a PyTorchClassifier)
make the worst inputs of the l∞ set, and Robustify's own loop does everything else, which
favours them: see benchmarks/peers.py.

    .venv-peers/bin/python benchmarks/robust_overhead.py [--net cifar|mnist] [--quick]

Their inner passes leave the net in eval mode, as their own attacks do; ours are the experiment's, in train mode. So ours are shown in
eval mode, too, beside them. Rounds differ by a few per cent; the least and the largest ratio are in the line of JSON.

"ratio" is the larger of ours for the l∞ and the l2 set. With .venv/bin/python the peers are skipped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import torch

from measuring import alternate, parser, positive, print_json, print_table, ratio_of, run
from peers import PeerAscent, available, missing
from robustify.machine.allocator import keep_freed_memory
from robustify.machine.devices import choose_device
from workload import PEERS_MISSING, Images, load_images, make_course, run_epoch

SETS = ("linf", "l2")
STANDARD = "standard"
LIKE_PEERS = "linf, inner passes in eval mode"
# images an epoch and rounds: --quick, and without it
SIZES = {"cifar": ((1000, 2), (5000, 5)), "mnist": ((6400, 3), (30000, 5))}


def main() -> None:
    """Measure, and print the table and the line of JSON."""
    options = _parser().parse_args()
    images, rounds = SIZES[options.net][0 if options.quick else 1]
    images, rounds = options.images or images, options.rounds or rounds
    keep_freed_memory()
    device = choose_device()
    epochs = _epochs(options.net, load_images(options.net, train=images), device)
    seconds = alternate(epochs, rounds=rounds)
    ratios = {name: ratio_of(seconds, name, STANDARD) for name in epochs if name != STANDARD}
    _print(options.net, images, seconds, ratios)
    print_json(
        max(ratios[name] for name in SETS),
        device,
        net=options.net,
        images=images,
        rounds=rounds,
        ours={name: ratios[name] for name in SETS},
        ours_like_peers=ratios.get(LIKE_PEERS),
        peers={name: ratio for name, ratio in ratios.items() if name in available()},
        range_of_rounds={name: _range(seconds, name) for name in ratios},
        seconds_per_epoch=seconds,
    )


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--net", choices=list(SIZES), default="cifar", help="default: cifar")
    made.add_argument("--images", type=positive, help="training images an epoch")
    made.add_argument("--rounds", type=positive, help="epochs of each contender")
    return made


def _epochs(experiment: str, data: Images, device: torch.device) -> dict[str, Callable[[], None]]:
    make = partial(make_course, experiment, data.train, data.train_labels, device=device)
    courses = {STANDARD: make(), **{name: make(member=name) for name in SETS}}
    if available():
        courses[LIKE_PEERS] = make(member="linf", inner_mode="eval")
    for peer in available():
        courses[peer] = make(member="linf", maximiser=PeerAscent(peer), inner_mode="eval")
    return {name: partial(run_epoch, course) for name, course in courses.items()}


def _print(
    net: str, images: int, seconds: dict[str, list[float]], ratios: dict[str, float]
) -> None:
    print(f"{net}: epochs of {images} training images, {len(seconds[STANDARD])} rounds")
    rows = [
        [_label(name), sorted(times)[len(times) // 2], ratios.get(name, 1.0)]
        for name, times in seconds.items()
    ]
    print_table(["training", "seconds/epoch (median)", "over standard"], rows)
    if missing():
        print(PEERS_MISSING.format(names=", ".join(missing())))


def _range(seconds: dict[str, list[float]], name: str) -> list[float]:
    each = [one / other for one, other in zip(seconds[name], seconds[STANDARD], strict=True)]
    return [min(each), max(each)]


def _label(name: str) -> str:
    if name == STANDARD:
        return "ours, standard"
    return f"{name}, robust linf" if name in available() else f"ours, robust {name}"


if __name__ == "__main__":
    run(main)
