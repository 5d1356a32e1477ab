"""Nodes of the adversarial-set pipeline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


def make_adversarial_set(
    model: TrainedNet, test_data: Tensors, adversarial_set: dict[str, Any], device: str
) -> tuple[Tensors, dict[str, float]]:
    """Return the adversarial set against the baseline and the seconds it took.

    Args:
        model: the baseline.
        test_data: ``images`` and ``labels``.
        adversarial_set: see :class:`robustify.configuration.AdversarialSet`.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: if no example succeeds, or the baseline has one of them right after all.
    """
    from robustify.configuration import AdversarialSet
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.pipelines.adversarial_set.making import find_examples, tensors_of
    from robustify.pipelines.adversarial_set.manifest import make_manifest
    from robustify.storage import Tensors

    keep_freed_memory()
    started = time.perf_counter()
    net, options = model.net.to(choose_device(device)), AdversarialSet(**adversarial_set)
    images, labels = test_data.tensors["images"], test_data.tensors["labels"]
    examples = find_examples(net, images, labels, options.sets)
    tensors = tensors_of(net, examples)
    provenance = {
        "sets": options.sets,
        "norms": list(examples.norms),
        "by_norm": examples.by_norm(),
        "size": len(examples),
        "survive_rounding_to_uint8": int(tensors["survives_rounding"].sum()),
        "attacked_net_sha256": model.provenance["tensors_sha256"],
        "attacked_data": test_data.provenance,
        "attacked_data_sha256": test_data.provenance["tensors_sha256"],
        "manifest": make_manifest(
            {"adversarial_set": options.model_dump(), "device": device},
            seed=model.provenance["seed"],
        ),
    }
    return Tensors(tensors, provenance), {"seconds": round(time.perf_counter() - started, 2)}


def require_examples(
    model: TrainedNet, test_data: Tensors, adversarial_set: dict[str, Any], device: str
) -> None:
    """Check that the set won't be empty, by looking for its first example.

    Args:
        model: the baseline.
        test_data: ``images`` and ``labels``.
        adversarial_set: see :class:`robustify.configuration.AdversarialSet`.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: if no example succeeds.
    """
    from robustify.configuration import AdversarialSet
    from robustify.machine.devices import choose_device
    from robustify.pipelines.adversarial_set.making import require_any_example

    net, sets = model.net.to(choose_device(device)), AdversarialSet(**adversarial_set).sets
    require_any_example(net, test_data.tensors["images"], test_data.tensors["labels"], sets)
