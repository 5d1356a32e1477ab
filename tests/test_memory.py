from __future__ import annotations

import platform

import psutil
import pytest
import torch

from robustify.allocator import keep_freed_memory
from robustify.hooks import Memory

MIB = 2**20


def resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library isn't glibc")
def test_what_a_node_has_freed_goes_back_before_the_next() -> None:
    keep_freed_memory()
    blocks = [torch.ones(MIB) for _ in range(64)]
    full = resident()
    # the last block stays, so that the heap's end can't simply move down
    del blocks[:-1]
    kept = resident()
    Memory().before_node_run()
    assert kept > full - 50 * MIB
    assert resident() < full - 200 * MIB
