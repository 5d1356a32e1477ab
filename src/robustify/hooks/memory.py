"""What one node has freed goes back to the system before the next one begins."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl

from robustify.allocator import return_freed_memory


class Memory:
    """Gives freed memory back between nodes.

    Within a node it is kept, see :func:`robustify.allocator.keep_freed_memory`; but what training in bfloat16 leaves
    rarely fits what a measurement in float32 asks for, so that the process would grow from node to node.
    """

    @hook_impl
    def before_node_run(self) -> None:
        """Trim the heap."""
        return_freed_memory()
