"""How near a training step is to the limit: its FLOP/s over the best this machine's kernels reach at its shapes.

Every convolution and matrix product of a step (forward, input gradient, weight gradient; not the optimiser's) is recorded with its
shapes as it runs. Each is then timed on its own, between rounds of whole steps in the same process: in
channels_last and contiguous memory, a backward pass both in one call and gradient by gradient, the
best of several. The sum of those best times is how long the step would take if nothing but its convolutions
and products were left, and each ran at its best.

There is no peer; what limits is the machine. The second table says where the rest of the time goes.

    .venv/bin/python benchmarks/utilisation.py [--net cifar|mnist] [--quick]

"ratio" is achieved over best FLOP/s of a standard step, or of a robust step (l∞) where that is smaller.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from measuring import parser, positive, print_json, print_table, run, seconds_of
from robustify.machine.allocator import keep_freed_memory
from robustify.machine.devices import choose_device
from robustify.training.course import Course
from workload import load_images, make_course, settings_of, steps_of

aten = torch.ops.aten
STEPS = {"standard": "baseline", "robust": "linf"}
FORMATS = (torch.channels_last, torch.contiguous_format)


@dataclass(frozen=True)
class Kernel:
    """A convolution or a matrix product as a step runs it.

    Attributes:
        kind: ``forward``, ``backward`` or ``product``.
        shapes: of image and filters, or of the two matrices.
        places: stride, padding and dilation of a convolution.
        gradients: which of input and weight gradient a backward pass gives.
        dtype: number format.
    """

    kind: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    places: tuple[tuple[int, ...], ...]
    gradients: tuple[bool, bool]
    dtype: torch.dtype

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        left, right = self.shapes
        if self.kind == "product":
            return 2 * left[0] * left[1] * right[1]
        passes = sum(self.gradients) if self.kind == "backward" else 1
        return passes * 2 * left[0] * math.prod(self.output) * math.prod(right[1:])

    @property
    def output(self) -> tuple[int, ...]:
        """Channels, height and width of a convolution's output."""
        image, filters = self.shapes
        sides = (
            (side + 2 * padding - dilation * (size - 1) - 1) // stride + 1
            for side, size, stride, padding, dilation in zip(
                image[2:], filters[2:], *self.places, strict=True
            )
        )
        return (filters[0], *sides)

    @property
    def label(self) -> str:
        """The kernel in words."""
        given = [
            name for name, kept in zip(("input", "weight"), self.gradients, strict=True) if kept
        ]
        what = f"gradient of {' and '.join(given)}" if self.kind == "backward" else self.kind
        return f"{what} {'×'.join(map(str, self.shapes[0]))}, {'×'.join(map(str, self.shapes[1]))}"


class Recorder(TorchDispatchMode):
    """Counts the convolutions and matrix products that run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels: Counter[Kernel] = Counter()
        self.paused = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        operation = func.overloadpacket
        if self.paused:
            pass
        elif operation in (aten.convolution, aten.convolution_backward):
            kernel = _convolution(args, backward=operation is aten.convolution_backward)
            # a backward pass for the bias alone is a sum
            if kernel.flops:
                self.kernels[kernel] += 1
        elif operation in (aten.mm, aten.addmm):
            left, right = args[-2:]
            shapes = (tuple(left.shape), tuple(right.shape))
            self.kernels[Kernel("product", shapes, (), (False, False), left.dtype)] += 1
        return func(*args, **(kwargs or {}))


def _convolution(args: tuple[Any, ...], *, backward: bool) -> Kernel:
    image, filters = args[1:3] if backward else args[:2]
    places = args[4:7] if backward else args[3:6]
    gradients = tuple(args[10][:2]) if backward else (False, False)
    return Kernel(
        "backward" if backward else "forward",
        (tuple(image.shape), tuple(filters.shape)),
        tuple(tuple(place) for place in places),
        gradients,
        image.dtype,
    )


def main() -> None:
    """Measure, and print the tables and the line of JSON."""
    options = _parser().parse_args()
    rounds = options.rounds or (2 if options.quick else 5)
    keep_freed_memory()
    device = choose_device()
    batch = options.batch or int(settings_of(options.net)["training"]["batch_size"])
    # the first step of the epoch is the one that is recorded, the second warms up, the last is profiled
    data = load_images(options.net, train=batch * (rounds + 3))
    results = {}
    for name, member in STEPS.items():
        course = make_course(
            options.net,
            data.train,
            data.train_labels,
            device=device,
            member=member,
            training={"batch_size": batch},
        )
        results[name] = _measure(f"{options.net}, {name} step", course, device, rounds)
    print_json(
        min(result["ratio"] for result in results.values()),
        device,
        net=options.net,
        rounds=rounds,
        steps=results,
    )


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--net", choices=["cifar", "mnist"], default="cifar", help="default: cifar")
    made.add_argument("--rounds", type=positive, help="steps, and trials of each kernel")
    made.add_argument("--batch", type=positive, help="images a step; the recipe's if left out")
    return made


def _measure(title: str, course: Course, device: torch.device, rounds: int) -> dict[str, float]:
    advance = steps_of(course, 1)
    with _recorded() as kernels:
        advance()
    advance()
    trials = {kernel: _trials(kernel, device) for kernel in kernels}
    steps, best = [], dict.fromkeys(kernels, math.inf)
    for _ in range(rounds):
        steps.append(seconds_of(advance))
        for kernel, alternatives in trials.items():
            best[kernel] = min(best[kernel], *(trial() for trial in alternatives))
    seconds, limit = median(steps), sum(best[kernel] * count for kernel, count in kernels.items())
    flops = sum(kernel.flops * count for kernel, count in kernels.items())
    _print(title, seconds, kernels, best)
    _print_profile(advance)
    return {
        "ratio": limit / seconds,
        "seconds": seconds,
        "achieved_gflops": flops / seconds / 1e9,
        "best_gflops": flops / limit / 1e9,
    }


@contextmanager
def _recorded() -> Iterator[Counter[Kernel]]:
    """Record the kernels that run, except while an optimiser descends."""
    recorder = Recorder()

    def pause(*_: object) -> None:
        recorder.paused = True

    def resume(*_: object) -> None:
        recorder.paused = False

    hooks = (
        register_optimizer_step_pre_hook(pause),
        register_optimizer_step_post_hook(resume),
    )
    try:
        with recorder:
            yield recorder.kernels
    finally:
        for hook in hooks:
            hook.remove()


def _trials(kernel: Kernel, device: torch.device) -> list[Callable[[], float]]:
    """Return the ways to run the kernel; each call gives its seconds."""
    if kernel.kind == "product":
        left, right = (
            torch.randn(shape, device=device, dtype=kernel.dtype) for shape in kernel.shapes
        )
        return [partial(seconds_of, partial(torch.mm, left, right))]
    return [partial(_seconds, kernel, device, memory_format) for memory_format in FORMATS]


def _seconds(kernel: Kernel, device: torch.device, memory_format: torch.memory_format) -> float:
    def random(*shape: int) -> Tensor:
        # .contiguous() would leave one channel's strides as they are, which decide on the kernel
        made = torch.empty(shape, device=device, dtype=kernel.dtype, memory_format=memory_format)
        return made.normal_()

    image, filters = (random(*shape) for shape in kernel.shapes)
    rest = (*kernel.places, False, [0, 0], 1)
    if kernel.kind == "forward":
        return _best(partial(aten.convolution, image, filters, None, *rest))
    output = random(len(image), *kernel.output)

    def gradients(wanted: tuple[bool, bool]) -> float:
        return _best(
            partial(
                aten.convolution_backward, output, image, filters, None, *rest, [*wanted, False]
            )
        )

    together = gradients(kernel.gradients)
    if not all(kernel.gradients):
        return together
    return min(together, gradients((True, False)) + gradients((False, True)))


def _best(work: Callable[[], object]) -> float:
    return min(seconds_of(work) for _ in range(2))


def _print(title: str, seconds: float, kernels: Counter[Kernel], best: dict[Kernel, float]) -> None:
    limit = sum(best[kernel] * count for kernel, count in kernels.items())
    print(f"{title}: {seconds:.4g} s; its convolutions and products alone, at best: {limit:.4g} s")
    rows = [
        [
            kernel.label,
            count,
            best[kernel] * 1e3,
            kernel.flops / best[kernel] / 1e9,
            best[kernel] * count / seconds,
        ]
        for kernel, count in sorted(kernels.items(), key=lambda item: -best[item[0]] * item[1])
    ]
    print_table(["kernel", "calls", "best, ms", "GFLOP/s", "share of step"], rows)


def _print_profile(advance: Callable[[], None], lines: int = 15) -> None:
    """Print the operators that take the most time of one step, by their own time."""
    cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with profile(activities=[ProfilerActivity.CPU, *cuda]) as profiler:
        advance()
    events = profiler.key_averages()
    own = {
        event.key: (event.self_device_time_total if cuda else event.self_cpu_time_total)
        for event in events
    }
    calls = {event.key: event.count for event in events}
    total = sum(own.values())
    largest = sorted(own, key=lambda key: -own[key])[:lines]
    rows = [[key, calls[key], own[key] / 1e3, own[key] / total] for key in largest]
    print_table(["operator (profiler)", "calls", "own time, ms", "share"], rows)


if __name__ == "__main__":
    run(main)
