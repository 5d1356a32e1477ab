"""What the C library does with freed memory: kept while a node computes, given back between nodes."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# constants of glibc's malloc.h
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Tell glibc to reuse freed activations instead of returning them to the system after every layer.

    Page faults on memory handed back and asked for again cost a third of a training step's time. Does
    nothing where the C library isn't glibc.
    """
    mallopt = _glibc("mallopt")
    if mallopt is None:
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_TOP_PAD, 64 * 2**20)


def return_freed_memory() -> None:
    """Give all freed memory back to the system. Does nothing where the C library isn't glibc."""
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(function: str) -> Any:
    """Return the function, or None where the C library is another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return getattr(ctypes.CDLL("libc.so.6"), function)
    except (OSError, AttributeError):
        return None
