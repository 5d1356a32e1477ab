"""Where the arithmetic runs: device and precision, chosen from what the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch

from robustify.errors import InputError

Precision = Literal["auto", "bfloat16", "float32"]
PRECISIONS: tuple[Precision, ...] = ("auto", "bfloat16", "float32")


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device, or with ``auto`` the GPU if there is one.

    Raises:
        ValueError: if the name isn't a device of this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device is {name!r}; known: auto, cpu, cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device is {name!r}; known: auto, cpu, cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"device is {name!r}, but PyTorch sees {torch.cuda.device_count()} GPUs; use auto or cpu"
        )
    return device


def choose_precision(name: Precision, device: torch.device) -> torch.dtype:
    """Return the number format of training: with ``auto``, bfloat16 where the hardware computes in it.

    A CPU without bfloat16 instructions emulates them, ten times slower than float32.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in PRECISIONS:
        raise InputError(f"precision is {name!r}; known: {', '.join(PRECISIONS)}")
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Return the context in which convolutions and products run in ``dtype``."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in true float32, outside any autocast, and on a GPU by algorithms that give the same bits each time."""
    with (
        ieee_float32(),
        _repeatable_convolutions(),
        torch.autocast("cpu", enabled=False),
        torch.autocast("cuda", enabled=False),
    ):
        yield


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Let float32 be float32: by default a GPU convolves it in TF32, whose numbers have 10 bits where float32's have 23."""
    backends: Any = torch.backends
    groups = (backends, backends.cudnn, backends.mkldnn)
    operators = (
        *(backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn),
        *(backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn),
    )
    before: list[tuple[Any, str]] = []
    try:
        # what an operator leaves open its group decides: with the groups out of the way, it shows what is its own
        for places, precision in ((groups, "none"), (operators, "ieee")):
            for place in places:
                before.append((place, place.fp32_precision))
                place.fp32_precision = precision
        yield
    finally:
        for place, precision in reversed(before):
            place.fp32_precision = precision


@contextmanager
def _repeatable_convolutions() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before


def describe(device: torch.device) -> str:
    """Return the device in words, for tables and tags."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    counted = "1 thread" if threads == 1 else f"{threads} threads"
    return f"cpu ({counted}, {torch.backends.cpu.get_cpu_capability()})"
