"""What the benchmarks share: timing in turns, medians, tables, and the line of JSON at the end."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from robustify.errors import InputError
from robustify.machine.devices import describe

Contenders = Mapping[str, Callable[[], object]]


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; what it can't work with ends it with one line."""
    try:
        main()
    except (InputError, OSError) as error:
        raise SystemExit(str(error)) from error


def positive(text: str) -> int:
    """Return an option's whole number ≥ 1, for :mod:`argparse`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number >= 1")
    return int(text)


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows the script's docstring as help and knows ``--quick``."""
    made = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--quick",
        action="store_true",
        help="within a minute or two on two CPU cores with AVX-512",
    )
    return made


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a call takes, in seconds of wall time, until the device is done."""
    _wait_for_device()
    started = time.perf_counter()
    work()
    _wait_for_device()
    return time.perf_counter() - started


def alternate(contenders: Contenders, *, rounds: int, warmup: int = 1) -> dict[str, list[float]]:
    """Time the contenders in turns, so that whatever else slows the machine slows all of them.

    Each round begins with another contender.

    Args:
        contenders: the work to be timed, by name.
        rounds: how often each is timed.
        warmup: rounds before, not counted.

    Returns:
        Seconds by name, one value a round.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warmup + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken = seconds_of(contenders[name])
            if number >= warmup:
                seconds[name].append(taken)
    return seconds


def ratio_of(seconds: Mapping[str, Sequence[float]], above: str, below: str) -> float:
    """Return the median over the rounds of one contender's time over another's."""
    return statistics.median(
        one / other for one, other in zip(seconds[above], seconds[below], strict=True)
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table: the first column left, the others right."""
    cells = [list(header), *[[_text(value) for value in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(padded).rstrip(), flush=True)
    print(flush=True)


def print_json(ratio: float | None, device: torch.device | None = None, **figures: Any) -> None:
    """Print the last line: the ratio (None if nothing could be compared), what it was measured on, and whatever else was measured."""
    line = {"ratio": ratio, **figures, "device": device_line(device)}
    print(json.dumps(_rounded(line), ensure_ascii=False, allow_nan=False), flush=True)


def device_line(device: torch.device | None = None) -> str:
    """Return device, processor, cores and PyTorch's version in words."""
    where = describe(device or torch.device("cpu"))
    return f"{where}, {_processor()}, {os.cpu_count()} cores, torch {torch.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value
