"""Builds the second device and tells PyTorch of it; for a process of its own, which can't forget it."""

from __future__ import annotations

import subprocess
import types
from pathlib import Path

import torch
from torch.utils import cpp_extension

NAME = "second"
SOURCE = Path(__file__).with_name("second_device.cpp")


def build(folder: Path) -> Path:
    """Compile the device; return the library."""
    library = folder / "second_device.so"
    paths = [f"-I{path}" for path in cpp_extension.include_paths()]
    found = [f"-L{path}" for path in cpp_extension.library_paths()]
    options = ["-std=c++20", "-O1", "-fPIC", "-shared", "-w"]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}"
    subprocess.run(
        [
            *("g++", *options, abi, *paths, str(SOURCE)),
            *(*found, "-ltorch", "-ltorch_cpu", "-lc10", "-o", str(library)),
        ],
        check=True,
        capture_output=True,
    )
    return library


def load(library: Path) -> torch.device:
    """Make the device known to this process, and what the project chooses by itself."""
    torch.ops.load_library(str(library))
    torch.utils.rename_privateuse1_backend(NAME)
    module = types.ModuleType(f"torch.{NAME}")
    functions = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "_is_in_bad_fork": lambda: False,
        "manual_seed_all": lambda seed: None,
        "get_amp_supported_dtype": lambda: [torch.bfloat16],
    }
    module.__dict__.update(functions)
    torch._register_device_module(NAME, module)
    torch.utils.generate_methods_for_privateuse1_backend(for_storage=True)
    return _chosen(torch.device(NAME, 0))


def _chosen(device: torch.device) -> torch.device:
    from robustify.machine import devices

    choose = devices.choose_device
    # before anybody has imported it by name
    devices.choose_device = lambda name="auto": device if name == "auto" else choose(name)
    return device
