"""What one node has freed goes back to the system before the next one begins; a node that lacks memory says what to lower."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from robustify.errors import InputError
from robustify.machine.allocator import return_freed_memory

_TRAINING = "train"
# Namespaces of nodes that work batch by batch, and where their batches' size is configured.
_BATCHED = (
    ("_full_verification", "verification.full"),
    ("_verification", "verification.brief"),
    ("_smallest_perturbations", "smallest_perturbations"),
)


class Memory:
    """Gives freed memory back between nodes that do different things.

    Within a node it is kept, see :func:`robustify.machine.allocator.keep_freed_memory`, and from one net's measurement to the
    same of the next net, which asks for as much again; but what training in bfloat16 leaves rarely fits what a measurement in
    float32 asks for, nor quite what the training of a robust net does, so that the process would grow from node to node.
    """

    def __init__(self) -> None:
        self._last = ""

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Trim the heap where a training or another kind of measurement begins."""
        kind = node.name.rpartition(".")[2]
        if kind == _TRAINING or kind != self._last:
            return_freed_memory()
        self._last = kind

    @hook_impl(trylast=True)
    def on_node_error(self, error: Exception, node: Node) -> None:
        """Say what to lower where memory was too short; a training has said it already."""
        if isinstance(error, InputError):
            return
        from robustify.machine.shortage import is_memory_shortage

        if is_memory_shortage(error):
            raise InputError(f"{node.name}: out of memory; {_remedy(node)}") from error


def _remedy(node: Node) -> str:
    experiment = str(node.namespace).partition(".")[0]
    for suffix, key in _BATCHED:
        if str(node.namespace).endswith(suffix):
            return f"lower {experiment}.{key}.batch_size"
    return (
        f"lower {experiment}.net.widths, where the net has some, or set {experiment}.device to cpu"
    )
