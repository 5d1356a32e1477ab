"""Nodes of the feedback pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


def feed_back(
    model: TrainedNet, training_data: Tensors, member: dict[str, Any], device: str
) -> Tensors:
    """Return the training data with adversarial examples of its own images, made once against a net.

    As Szegedy et al. (2014) and Kereliuk et al. (2015) did: the examples don't follow the net
    that is trained on them. Training images are 8-bit, so those count that fool the attacked net
    after rounding.

    Args:
        model: the attacked net, the baseline.
        training_data: ``images`` and ``labels``.
        member: see :class:`robustify.configuration.Net`; ``fed_back`` is the uncertainty set.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ValueError: if no example fools the net.
    """
    import torch

    from robustify.errors import InputError
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement import attack, survives_rounding
    from robustify.storage import Tensors
    from robustify.uncertainty import make_uncertainty_set

    keep_freed_memory()
    options = member["fed_back"]
    images, labels = training_data.tensors["images"], training_data.tensors["labels"]
    net = model.net.to(choose_device(device))
    examples = attack(net, images, labels, {options["name"]: make_uncertainty_set(**options)})
    kept = survives_rounding(net, examples)
    if not bool(kept.any()):
        raise InputError(
            f"no training image's example fools the baseline; raise fed_back.radius ({options})"
        )
    added = (examples.images[kept] * 255).round().clamp(0, 255).to(torch.uint8)
    tensors = {
        "images": torch.cat([images, added]),
        "labels": torch.cat([labels, examples.labels[kept]]),
    }
    provenance = {
        **training_data.provenance,
        "fed_back": options,
        "adversarial_images": len(added),
        "attacked_net_sha256": model.provenance["tensors_sha256"],
    }
    return Tensors(tensors, provenance)
