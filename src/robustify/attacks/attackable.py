"""Whether a net, images and labels are what an attack takes for granted."""

from __future__ import annotations

from torch import Tensor, nn

from robustify.answers import BATCH_SIZE, logits_of, require_full_numbers
from robustify.gates import labels_are_in_range, outputs_are_logits, pixels_are_in_range


def checked_logits(
    net: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = BATCH_SIZE
) -> Tensor:
    """Return the net's logits, shape (N, K), of images and labels that can be attacked.

    Raises:
        InputError: if images aren't in [0, 1], labels aren't classes of the net, or its outputs
            aren't finite or are probabilities, or the net is of half precision.
    """
    require_full_numbers(net)
    pixels_are_in_range(images).require()
    logits = logits_of(net, images, batch_size=batch_size)
    outputs_are_logits(logits).require()
    labels_are_in_range(labels, images=len(images), classes=logits.shape[1]).require()
    return logits
