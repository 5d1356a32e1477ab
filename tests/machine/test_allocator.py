from __future__ import annotations

import ctypes
import sys

import pytest

from robustify.machine import allocator


def test_memory_is_left_alone_where_the_c_library_is_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[tuple[int, ...]] = []

    class Glibc:
        def __init__(self, name: str) -> None:
            assert name == "libc.so.6"

        def mallopt(self, parameter: int, value: int) -> None:
            told.append((parameter, value))

        def malloc_trim(self, left: int) -> None:
            told.append((left,))

    def no_such_library(name: str) -> None:
        raise OSError

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", Glibc)
    allocator.keep_freed_memory()
    allocator.return_freed_memory()
    # M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h, then nothing to be left
    assert told == [(-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20), (0,)]
    for platform, library in (
        ("darwin", Glibc),
        ("linux", no_such_library),
        ("linux", lambda name: object()),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(ctypes, "CDLL", library)
        allocator.keep_freed_memory()
        allocator.return_freed_memory()
    assert len(told) == 4
