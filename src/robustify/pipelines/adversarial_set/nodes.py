"""Nodes of the adversarial-set pipeline."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.configuration import AdversarialSet
    from robustify.storage import Tensors, TrainedNet
    from robustify.uncertainty import UncertaintySet

logger = logging.getLogger(__name__)


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
    from robustify.errors import InputError
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement import attack, predict, survives_rounding
    from robustify.pipelines.adversarial_set.manifest import make_manifest
    from robustify.storage import Tensors

    keep_freed_memory()
    started = time.perf_counter()
    net, options = model.net.to(choose_device(device)), AdversarialSet(**adversarial_set)
    examples = attack(
        net, test_data.tensors["images"], test_data.tensors["labels"], _sets_of(options)
    )
    if len(examples) == 0:
        raise InputError(_empty(options))
    for norm in (norm for norm, count in examples.by_norm().items() if count == 0):
        logger.warning(
            "no example in %s fools the baseline, so the set has none; raise adversarial_set.sets.%s.radius",
            norm,
            norm,
        )
    # unclipped examples lie outside [0, 1], where nothing else is measured
    if bool((predict(net, examples.images) == examples.labels).any()):
        raise InputError("the baseline has examples of its own adversarial set right")
    survivors = survives_rounding(net, examples)
    provenance = {
        "sets": options.sets,
        "norms": list(examples.norms),
        "by_norm": examples.by_norm(),
        "size": len(examples),
        "survive_rounding_to_uint8": int(survivors.sum()),
        "attacked_net_sha256": model.provenance["tensors_sha256"],
        "attacked_data": test_data.provenance,
        "attacked_data_sha256": test_data.provenance["tensors_sha256"],
        "manifest": make_manifest(
            {"adversarial_set": options.model_dump(), "device": device},
            seed=model.provenance["seed"],
        ),
    }
    tensors = {
        "images": examples.images,
        "labels": examples.labels,
        "source": examples.source,
        "prediction_before": examples.labels.clone(),
        "prediction_after": examples.prediction,
        "norm": examples.norm,
        "realised_norm": examples.realised_norm,
        "survives_rounding": survivors,
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
    from robustify.answers import BATCH_SIZE
    from robustify.configuration import AdversarialSet
    from robustify.errors import InputError
    from robustify.machine.devices import choose_device
    from robustify.measurement import attack

    net, options = model.net.to(choose_device(device)), AdversarialSet(**adversarial_set)
    sets = _sets_of(options)
    images, labels = test_data.tensors["images"], test_data.tensors["labels"]
    batches = zip(images.split(BATCH_SIZE), labels.split(BATCH_SIZE), strict=True)
    if not any(len(attack(net, batch, truth, sets)) for batch, truth in batches):
        raise InputError(_empty(options))


def _sets_of(adversarial_set: AdversarialSet) -> dict[str, UncertaintySet]:
    from robustify.uncertainty import make_uncertainty_set

    return {
        name: make_uncertainty_set(name, **options)
        for name, options in adversarial_set.sets.items()
    }


def _empty(adversarial_set: AdversarialSet) -> str:
    return (
        "the adversarial set is empty: no example fools the baseline; "
        f"raise the radii in adversarial_set.sets ({adversarial_set.sets})"
    )
