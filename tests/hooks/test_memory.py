from __future__ import annotations

import platform
from collections.abc import Callable

import psutil
import pytest
import torch
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from robustify.errors import InputError
from robustify.hooks import Memory
from robustify.hooks import memory as hook
from robustify.machine.allocator import keep_freed_memory

MIB = 2**20


def resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library isn't glibc")
@pytest.mark.parametrize("kind", ["train", "verify"])
def test_what_a_node_has_freed_goes_back_before_another_kind_of_work(kind: str) -> None:
    keep_freed_memory()
    memory = Memory()
    evaluate, again, train = (
        Node(lambda: 0, inputs=None, outputs="found", name=name, namespace=namespace)
        for namespace, name in (("mnist.l1", "evaluate"), ("mnist.l2", "evaluate"), ("mnist", kind))
    )
    memory.before_node_run(evaluate)
    blocks = [torch.ones(MIB) for _ in range(64)]
    full = resident()
    # the last block stays, so that the heap's end can't simply move down
    del blocks[:-1]
    kept = resident()
    memory.before_node_run(again)
    assert resident() > full - 50 * MIB
    memory.before_node_run(train)
    assert kept > full - 50 * MIB
    assert resident() < full - 200 * MIB


def test_memory_goes_back_between_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[str] = []
    monkeypatch.setattr(hook, "return_freed_memory", lambda: trimmed.append(node.name))
    memory = Memory()
    for name in ("train", "train", "verify", "verify", "train"):
        node = Node(lambda: 0, inputs=None, outputs="found", name=name)
        memory.before_node_run(node)
    assert trimmed == ["train", "train", "verify", "train"]


@pytest.mark.parametrize(
    ("namespace", "remedy"),
    [
        ("mnist.l2_verification", r"lower mnist\.verification\.brief\.batch_size"),
        ("mnist.l2_full_verification", r"lower mnist\.verification\.full\.batch_size"),
        ("mnist.l2_smallest_perturbations", r"lower mnist\.smallest_perturbations\.batch_size"),
        ("cifar.l2_evaluation", r"lower cifar\.net\.widths.* or set cifar\.device to cpu"),
    ],
)
def test_a_node_that_lacks_memory_says_what_to_lower(namespace: str, remedy: str) -> None:
    def measure() -> None:
        torch.empty(2**50)  # the allocator's own words

    assert "out of memory" in failure(measure, namespace)
    with pytest.raises(InputError, match=rf"{namespace}\.measure: out of memory; {remedy}"):
        run(measure, namespace)


def test_other_errors_are_left_alone() -> None:
    def divide() -> None:
        raise RuntimeError("shapes don't match")

    def refuse() -> None:
        raise InputError("mnist.l2: out of memory; lower training.batch_size")

    assert failure(divide, "mnist") == "shapes don't match"
    assert failure(refuse, "mnist") == "mnist.l2: out of memory; lower training.batch_size"


def failure(function: Callable[[], None], namespace: str) -> str:
    with pytest.raises((RuntimeError, InputError)) as caught:
        run(function, namespace)
    return str(caught.value)


def run(function: Callable[[], None], namespace: str) -> None:
    hooks = _create_hook_manager()
    hooks.register(Memory())
    node = Node(function, None, "nothing", name="measure")
    SequentialRunner().run(Pipeline([node], namespace=namespace), DataCatalog(), hooks)
