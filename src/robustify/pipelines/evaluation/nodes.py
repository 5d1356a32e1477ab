"""Nodes of the evaluation pipeline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


def evaluate_net(
    model: TrainedNet,
    test_data: Tensors,
    adversarial_set: Tensors,
    evaluation: dict[str, Any],
    device: str,
) -> dict[str, Any]:
    """Return one net's accuracies as shares: on the test set, on the stored set, under FGSM.

    Args:
        model: the net.
        test_data: ``images`` and ``labels``.
        adversarial_set: made by :func:`robustify.pipelines.adversarial_set.nodes.make_adversarial_set`.
        evaluation: see :class:`robustify.configuration.Evaluation`.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: if the set was made of other test images.
    """
    from robustify.errors import InputError
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.accuracies import accuracy, epsilon_sweep, predict

    attacked = adversarial_set.provenance["attacked_data_sha256"]
    if attacked != test_data.provenance["tensors_sha256"]:
        raise InputError(
            "the adversarial set was made of other test images than those stored now; make it again: kedro run --tags=adversarial_set"
        )
    keep_freed_memory()
    started = time.perf_counter()
    net = model.net.to(choose_device(device))
    images, labels = test_data.tensors["images"], test_data.tensors["labels"]
    stored = adversarial_set.tensors
    right = predict(net, stored["images"]) == stored["labels"]
    by_norm = {
        norm: float(right[stored["norm"] == index].double().mean())
        for index, norm in enumerate(adversarial_set.provenance["norms"])
        if bool((stored["norm"] == index).any())
    }
    sweep = epsilon_sweep(net, images, labels, evaluation["epsilons"])
    uncertainty_set = model.provenance["uncertainty_set"]
    return {
        "test_accuracy": accuracy(net, images, labels),
        "adversarial_set_accuracy": float(right.double().mean()),
        "adversarial_set_accuracy_by_norm": by_norm,
        "epsilon_sweep": {f"{epsilon:.6g}": share for epsilon, share in sweep.items()},
        "uncertainty_set": uncertainty_set,
        "radius": uncertainty_set.get("radius", 0.0),
        "seed": model.provenance["seed"],
        "weights_sha256": model.provenance["tensors_sha256"],
        "adversarial_set_sha256": adversarial_set.provenance["tensors_sha256"],
        "seconds": round(time.perf_counter() - started, 2),
    }
