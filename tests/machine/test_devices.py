from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from robustify.errors import InputError
from robustify.machine import devices
from robustify.measurement import predict

from ..conftest import PROJECT

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def pretend(monkeypatch: pytest.MonkeyPatch, *, gpus: int, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    # all but the oldest GPUs emulate what they don't compute in
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: bfloat16 or including_emulation,
    )
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)


def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, gpus=0, bfloat16=False)
    assert devices.choose_device() == CPU
    with pytest.raises(InputError, match="PyTorch sees 0 GPUs"):
        devices.choose_device("cuda")
    pretend(monkeypatch, gpus=2, bfloat16=False)
    assert devices.choose_device() == CUDA
    assert devices.choose_device("cpu") == CPU
    assert devices.choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(InputError, match="'cuda:2', but PyTorch sees 2 GPUs"):
        devices.choose_device("cuda:2")
    with pytest.raises(InputError, match="known: auto, cpu, cuda"):
        devices.choose_device("graphics")


@pytest.mark.parametrize("device", [CPU, CUDA])
@pytest.mark.parametrize("native", [True, False])
def test_precision_follows_the_hardware_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, device: torch.device, native: bool
) -> None:
    pretend(monkeypatch, gpus=1, bfloat16=native)
    expected = torch.bfloat16 if native else torch.float32
    assert devices.choose_precision("auto", device) == expected
    assert devices.choose_precision("bfloat16", device) == torch.bfloat16
    assert devices.choose_precision("float32", device) == torch.float32
    # what the CPU can says nothing of another device
    assert devices.choose_precision("auto", torch.device("mps")) == torch.float32
    with pytest.raises(InputError, match="'float16'; known: auto, bfloat16, float32"):
        devices.choose_precision("float16", device)


def test_autocast_changes_the_type_of_products_for_bfloat16_only() -> None:
    x = torch.ones(2, 2)
    for dtype in (torch.bfloat16, torch.float32):
        with devices.autocast(CPU, dtype):
            assert (x @ x).dtype == dtype


LEGACY = {
    "none": lambda: None,
    "allowed": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "everywhere": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "products": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "processor": lambda: setattr(torch.backends.mkldnn.matmul, "fp32_precision", "bf16"),
}
PRECISIONS = """
import sys, warnings
import torch
from tests.machine.test_devices import LEGACY, precisions
from robustify.machine.devices import full_precision

torch.backends.cudnn.benchmark = True
LEGACY[sys.argv[1]]()
before = precisions()
x = torch.ones(2, 2)
with torch.autocast("cpu", dtype=torch.bfloat16), warnings.catch_warnings():
    warnings.simplefilter("error")
    try:
        with full_precision():
            assert set(precisions()[3:9]) == {"ieee"}, precisions()
            assert precisions()[9:] == (False, True)
            assert (x @ x).dtype == torch.float32
            raise KeyError
    except KeyError:
        pass
    assert (x @ x).dtype == torch.bfloat16
assert precisions() == before, (before, precisions())
# the one that was left open is still decided elsewhere
torch.backends.fp32_precision = "none"
elsewhere = "bf16" if sys.argv[1] in ("medium", "processor") else "tf32"
torch.backends.mkldnn.fp32_precision = elsewhere
assert torch.backends.mkldnn.matmul.fp32_precision == elsewhere
"""


def precisions() -> tuple[str | bool, ...]:
    """Return what PyTorch computes float32 in, by backend and operator, and how cuDNN chooses."""
    b = torch.backends
    places = (b, b.cudnn, b.mkldnn, b.cuda.matmul, b.cudnn.conv, b.cudnn.rnn)
    places += (b.mkldnn.matmul, b.mkldnn.conv, b.mkldnn.rnn)
    chosen = b.cudnn.benchmark, b.cudnn.deterministic
    return *(place.fp32_precision for place in places), *chosen


@pytest.mark.parametrize("setting", LEGACY)
def test_measurements_switch_reduced_precision_off_and_give_it_back(setting: str) -> None:
    """However it was asked for; in a process of its own, since PyTorch can't forget that it was asked in the old way."""
    done = subprocess.run(
        [sys.executable, "-c", PRECISIONS, setting],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_autocast_around_a_measurement_changes_nothing() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10)).eval()
    seen = []
    net.register_forward_hook(lambda *call: seen.append(call[-1]))
    images = torch.randint(256, (40, 3, 8, 8), dtype=torch.uint8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        predict(net, images)
    assert {logits.dtype for logits in seen} == {torch.float32}


def test_a_device_is_described_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads, words in ((1, "cpu (1 thread, "), (8, "cpu (8 threads, ")):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert devices.describe(CPU).startswith(words)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card of {device}")
    assert devices.describe(CUDA) == "card of cuda"
