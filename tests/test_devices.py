from __future__ import annotations

import pytest
import torch

from robustify.errors import InputError
from robustify.machine import devices

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
    with pytest.raises(InputError, match="'float16'; known: auto, bfloat16, float32"):
        devices.choose_precision("float16", device)


def test_autocast_changes_the_type_of_products_for_bfloat16_only() -> None:
    x = torch.ones(2, 2)
    for dtype in (torch.bfloat16, torch.float32):
        with devices.autocast(CPU, dtype):
            assert (x @ x).dtype == dtype


def test_measurements_switch_reduced_precision_off_and_give_it_back() -> None:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    try:
        with pytest.raises(KeyError), devices.full_precision():
            assert not torch.backends.cuda.matmul.allow_tf32
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.deterministic
            raise KeyError
        assert torch.backends.cuda.matmul.allow_tf32
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_a_device_is_described_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.describe(CPU).startswith(f"cpu ({torch.get_num_threads()} threads, ")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card of {device}")
    assert devices.describe(CUDA) == "card of cuda"
