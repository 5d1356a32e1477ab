"""Choice of the adversarial examples that the figures show."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from robustify.storage import Tensors

COLUMNS = 12


def sample_pairs(
    adversarial_set: Tensors, test_data: Tensors, classes: list[str], columns: int = COLUMNS
) -> dict[str, Any]:
    """Return evenly spaced examples of each norm, as keyword arguments of ``adversarial_grid``."""
    norms: list[str] = adversarial_set.provenance["norms"]
    chosen: list[int] = []
    for index in range(len(norms)):
        members = (adversarial_set.tensors["norm"] == index).nonzero()[:, 0]
        count = min(columns // len(norms), len(members))
        places = torch.linspace(0, max(len(members) - 1, 0), count).long()
        chosen += members[places].tolist()
    picked = torch.tensor(chosen)
    shown = [norms[int(i)] for i in adversarial_set.tensors["norm"][picked]]
    return {**_pairs(adversarial_set, test_data, classes, picked), "norms": shown}


def single_pixel_pairs(
    adversarial_set: Tensors, test_data: Tensors, classes: list[str], columns: int = COLUMNS
) -> dict[str, Any]:
    """Return the first l1 examples in which one pixel changed, as arguments of ``single_pixel_flips``."""
    clean = _clean(adversarial_set, test_data)
    change = (adversarial_set.tensors["images"] - clean).abs().amax(dim=1).flatten(1)
    changed = (change > 1e-6).sum(dim=1)
    is_l1 = adversarial_set.tensors["norm"] == adversarial_set.provenance["norms"].index("l1")
    picked = (is_l1 & (changed == 1)).nonzero()[:columns, 0]
    return _pairs(adversarial_set, test_data, classes, picked)


def _pairs(
    adversarial_set: Tensors, test_data: Tensors, classes: list[str], picked: Tensor
) -> dict[str, Any]:
    tensors = adversarial_set.tensors
    return {
        "clean": _clean(adversarial_set, test_data)[picked].numpy(),
        "adversarial": tensors["images"][picked].numpy(),
        "before": [classes[int(i)] for i in tensors["prediction_before"][picked]],
        "after": [classes[int(i)] for i in tensors["prediction_after"][picked]],
    }


def _clean(adversarial_set: Tensors, test_data: Tensors) -> Tensor:
    return test_data.tensors["images"][adversarial_set.tensors["source"]].float().div_(255)
