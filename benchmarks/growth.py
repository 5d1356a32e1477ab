"""Whether time grows in straight lines: with images, ε values, nets, and pixels of an image.

Measured on the default CIFAR net and real images: a robust epoch (l∞) against the number of images, a sweep against the number of
ε values, evaluation against the number of nets (each with weights of its own), a training step against the pixels of an image. Sizes span a factor
of 15 to 40, in batches of at most 500 images, and are measured in turns. The line is fitted by least squares of relative errors, with an intercept: what doesn't grow (a
sweep's one gradient, an epoch's start) may be there, but nothing may grow faster, as a negative intercept would tell.

There is no peer: a straight line is what the work itself says.

    .venv/bin/python benchmarks/growth.py [--quick]

"ratio" is the largest deviation of a measured time from its line, as a share of the line. n^1.1 would deviate by 5 to 8 %, and its intercept be negative.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from measuring import alternate, parser, positive, print_json, print_table, run
from robustify.machine.allocator import keep_freed_memory
from robustify.machine.devices import choose_device
from robustify.measurement import accuracy, epsilon_sweep
from workload import Images, fresh_net, load_images, make_course, run_epoch

SIZES = (1, 4, 8, 16)
EPSILONS = (1, 5, 20, 40)
# after the 2×2 convolution these divide by 2, 4 and 8, so that no pooling rounds pixels away
SIDES = (17, 33, 49, 65)


@dataclass(frozen=True)
class Line:
    """A straight line through measured times.

    Attributes:
        fitted: seconds that the line says, one a size.
        r_squared: share of the times' variance that the line explains.
        deviation: largest relative deviation from the line.
        intercept: seconds at size 0.
    """

    fitted: list[float]
    r_squared: float
    deviation: float
    intercept: float


def main() -> None:
    """Measure, and print the tables and the line of JSON."""
    options = _parser().parse_args()
    unit = options.images or (100 if options.quick else 1000)
    rounds = options.rounds or (2 if options.quick else 5)
    keep_freed_memory()
    device = choose_device()
    data = load_images("cifar", train=unit * max(SIZES), test=unit)
    lines: dict[str, Line] = {}
    for title, work in _studies(data, unit, device).items():
        sizes = list(work)
        seconds = alternate({str(size): call for size, call in work.items()}, rounds=rounds)
        # the least disturbed of the rounds: what is looked for is the shape
        times = [min(values) for values in seconds.values()]
        lines[title] = fit(sizes, times)
        _print(title, sizes, times, [median(values) for values in seconds.values()], lines[title])
    print_json(
        max(line.deviation for line in lines.values()),
        device,
        unit_images=unit,
        rounds=rounds,
        r_squared={title: line.r_squared for title, line in lines.items()},
        deviation={title: line.deviation for title, line in lines.items()},
        intercept_seconds={title: line.intercept for title, line in lines.items()},
    )


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--images", type=positive, help="images of the smallest size")
    made.add_argument("--rounds", type=positive, help="how often each size is timed")
    return made


def _studies(
    data: Images, unit: int, device: torch.device
) -> dict[str, Mapping[int, Callable[[], object]]]:
    net = fresh_net("cifar", data.train, device)
    epochs = {size * unit: _epochs(data, size * unit, unit, device) for size in SIZES}
    sweeps = {count: _sweep(net, data, count) for count in EPSILONS}
    several = [copy.deepcopy(net) for _ in range(max(SIZES))]
    nets = {count: partial(_evaluate, several[:count], data) for count in SIZES}
    steps = {(side - 1) ** 2: _step(data, side, unit, device) for side in SIDES}
    return {
        "robust epoch against images": epochs,
        "sweep against ε values": sweeps,
        "evaluation against nets": nets,
        "standard step against pixels": steps,
    }


def _epochs(data: Images, count: int, batch: int, device: torch.device) -> Callable[[], None]:
    course = make_course(
        "cifar",
        data.train[:count],
        data.train_labels[:count],
        device=device,
        member="linf",
        training={"batch_size": min(batch, 500)},
    )
    return partial(run_epoch, course)


def _sweep(net: nn.Module, data: Images, count: int) -> Callable[[], object]:
    epsilons = [step * 0.5 / 255 for step in range(1, count + 1)]
    return partial(epsilon_sweep, net, data.test, data.test_labels, epsilons)


def _evaluate(nets: Sequence[nn.Module], data: Images) -> None:
    for net in nets:
        accuracy(net, data.test, data.test_labels)


def _step(data: Images, side: int, batch: int, device: torch.device) -> Callable[[], None]:
    count = min(batch, 500)
    course = make_course(
        "cifar",
        _resized(data.train[:count], side),
        data.train_labels[:count],
        device=device,
        training={"batch_size": count, "translation": 0, "flips": False},
    )
    return partial(run_epoch, course)


def _resized(images: Tensor, side: int) -> Tensor:
    pixels = functional.interpolate(
        images.float(), size=(side, side), mode="bilinear", antialias=True
    )
    return pixels.round().clamp(0, 255).to(torch.uint8)


def fit(sizes: Sequence[int], times: Sequence[float]) -> Line:
    """Fit a straight line with weights 1 / time, so that every size counts the same."""
    x, y = np.asarray(sizes, dtype=float), np.asarray(times)
    slope, intercept = np.polyfit(x, y, 1, w=1 / y)
    fitted = slope * x + intercept
    scatter = float(((y - y.mean()) ** 2).sum())
    return Line(
        fitted=[float(value) for value in fitted],
        r_squared=1 - float(((y - fitted) ** 2).sum()) / scatter,
        deviation=float(np.abs(y / fitted - 1).max()),
        intercept=float(intercept),
    )


def _print(
    title: str, sizes: Sequence[int], times: Sequence[float], medians: Sequence[float], line: Line
) -> None:
    print(
        f"{title}: R² {line.r_squared:.5f}, largest deviation {line.deviation:.2%}, {line.intercept:.3g} s at size 0"
    )
    rows = [
        [size, time, middle, expected, time / expected - 1]
        for size, time, middle, expected in zip(sizes, times, medians, line.fitted, strict=True)
    ]
    print_table(["size", "seconds, least", "median", "line", "deviation"], rows)


if __name__ == "__main__":
    run(main)
