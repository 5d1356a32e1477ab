"""Nodes of the feedback pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


def feed_back(
    model: TrainedNet, training_data: Tensors, member: dict[str, Any], device: str
) -> Tensors:
    """Return the training data with adversarial examples of its own images, see :func:`robustify.measurement.eight_bit_examples`.

    Args:
        model: the attacked net, the baseline.
        training_data: ``images`` and ``labels``.
        member: see :class:`robustify.configuration.Net`; ``fed_back`` is the uncertainty set.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        InputError: if no example fools the net.
    """
    import torch

    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.adversarial_examples import eight_bit_examples
    from robustify.storage import Tensors
    from robustify.uncertainty import make_uncertainty_set

    keep_freed_memory()
    options = member["fed_back"]
    images, labels = training_data.tensors["images"], training_data.tensors["labels"]
    net = model.net.to(choose_device(device))
    added, truth = eight_bit_examples(net, images, labels, make_uncertainty_set(**options))
    provenance = {
        **training_data.provenance,
        "fed_back": options,
        "adversarial_images": len(added),
        "attacked_net_sha256": model.provenance["tensors_sha256"],
    }
    tensors = {"images": torch.cat([images, added]), "labels": torch.cat([labels, truth])}
    return Tensors(tensors, provenance)
