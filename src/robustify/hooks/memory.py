"""What one node has freed goes back to the system before the next one begins."""

from __future__ import annotations

import ctypes
import sys

from kedro.framework.hooks import hook_impl


class Memory:
    """Gives freed memory back between nodes.

    Within a node it is kept, see :func:`robustify.devices.keep_freed_memory`; but what training in bfloat16 leaves
    rarely fits what a measurement in float32 asks for, so that the process would grow from node to node.
    """

    @hook_impl
    def before_node_run(self) -> None:
        """Trim the heap; nothing happens where the C library isn't glibc."""
        if not sys.platform.startswith("linux"):
            return
        try:
            trim = ctypes.CDLL("libc.so.6").malloc_trim
        except (OSError, AttributeError):
            return
        trim(0)
