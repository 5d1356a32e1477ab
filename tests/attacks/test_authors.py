"""AutoAttack here and its authors' own code (github.com/fra31/auto-attack) leave the same images standing."""

from __future__ import annotations

import json

import pytest
import torch

from robustify.attacks import AutoAttack, robust_accuracy
from robustify.uncertainty import make_uncertainty_set

from .small_net import EXPECTED, small_net

EXPECTATIONS = json.loads(EXPECTED.read_text())
THREE_TENTHS_OF_A_POINT = 0.003


@pytest.mark.parametrize("setting", EXPECTATIONS["standing"])
def test_as_many_images_stand_as_under_the_authors_code(setting: str, real_mnist) -> None:
    norm, radius = setting.split("=")
    count = EXPECTATIONS["images"]
    theirs = EXPECTATIONS["standing"][setting]["all"]
    # neither all nor none: the attacks must have something to find and something to miss
    assert 0.1 * count < len(theirs) < 0.9 * count
    found = robust_accuracy(
        small_net(),
        real_mnist.tensors["test_images"][:count],
        real_mnist.tensors["test_labels"][:count].long(),
        AutoAttack(),
        make_uncertainty_set(norm, radius=float(radius)),
        batch_size=count,
        seed=0,
        show_progress=False,
    )
    mine = found.state.still_standing
    # of so few images a single one is more than that
    allowed = max(1, int(THREE_TENTHS_OF_A_POINT * count))
    assert abs(int(mine.sum()) - len(theirs)) <= allowed
    expected = torch.zeros(count, dtype=torch.bool)
    expected[theirs] = True
    # nearly the same images, not only as many: both draw lots, and some images stand on the edge
    assert int((mine != expected).sum()) <= 0.02 * count
