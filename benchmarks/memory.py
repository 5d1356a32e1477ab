"""Peak resident memory of training, epoch by epoch: is it flat?

Algorithm 1 (l∞) on the default CIFAR net and real images in a process of its own, so that nothing before it counts. A thread
samples resident memory every few milliseconds; the operating system's own high-water mark checks the overall peak. On a
GPU the allocator's peak of every epoch stands beside it.

There is no peer; the first epoch is what the last one is compared with.

    .venv/bin/python benchmarks/memory.py [--quick]

"ratio" is the last epoch's peak over the first one's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import torch

from measuring import parser, positive, print_json, print_table, run
from robustify.machine.allocator import keep_freed_memory
from robustify.machine.devices import choose_device
from workload import load_images, make_course, own_command, run_epoch

GIB = 2**30
INTERVAL = 0.005


def main() -> None:
    """Measure, and print the table and the line of JSON."""
    options = _parser().parse_args()
    images = options.images or (1500 if options.quick else 50_000)
    epochs = options.epochs or (4 if options.quick else 5)
    if options.child:
        print(json.dumps(_train(images, epochs)))
        return
    arguments = ("--child", "--images", str(images), "--epochs", str(epochs))
    finished = subprocess.run(
        own_command(__file__, *arguments), check=True, stdout=subprocess.PIPE, text=True
    )
    measured = json.loads(finished.stdout.splitlines()[-1])
    peaks = measured["peaks_gib"]
    print(f"{images} training images, {measured['before_gib']:.3g} GiB before the first epoch")
    rows = [
        [str(number), peak, peak / peaks[0], "–" if on_device is None else on_device]
        for number, (peak, on_device) in enumerate(
            zip(peaks, measured["device_peaks_gib"], strict=True), start=1
        )
    ]
    print_table(["epoch", "peak, GiB", "over first", "on the GPU, GiB"], rows)
    print_json(peaks[-1] / peaks[0], choose_device(), images=images, epochs=epochs, **measured)


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--images", type=positive, help="training images")
    made.add_argument("--epochs", type=positive, help="epochs")
    made.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return made


def _train(images: int, epochs: int) -> dict[str, Any]:
    keep_freed_memory()
    device = choose_device()
    data = load_images("cifar", train=images)
    course = make_course("cifar", data.train, data.train_labels, device=device, member="linf")
    measured: dict[str, Any] = {"before_gib": psutil.Process().memory_info().rss / GIB}
    peaks, on_device = [], []
    for _ in range(epochs):
        with _sampled() as samples:
            run_epoch(course)
        peaks.append(max(samples) / GIB)
        on_device.append(_device_peak(device))
    # kilobytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    overall = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB
    return {
        **measured,
        "peaks_gib": peaks,
        "device_peaks_gib": on_device,
        "high_water_mark_gib": overall,
    }


@contextmanager
def _sampled() -> Iterator[list[int]]:
    """Sample resident memory, in bytes, for as long as the context lasts."""
    process, over = psutil.Process(), threading.Event()
    samples = [process.memory_info().rss]

    def sample() -> None:
        while not over.wait(INTERVAL):
            samples.append(process.memory_info().rss)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
        samples.append(process.memory_info().rss)


def _device_peak(device: torch.device) -> float | None:
    if device.type != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device) / GIB
    torch.cuda.reset_peak_memory_stats(device)
    return peak


if __name__ == "__main__":
    run(main)
