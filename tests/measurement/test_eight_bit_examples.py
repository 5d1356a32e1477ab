"""Examples that are fed back into the training data."""

from __future__ import annotations

import pytest
import torch

from robustify.errors import InputError
from robustify.measurement import eight_bit_examples
from robustify.uncertainty import LinfBall

from ..conftest import LinearNet


def test_what_fools_after_rounding_is_kept_and_nothing_else() -> None:
    # the margin of class 1 is the sum of all values, less a threshold, so every example is known by hand
    net = LinearNet(4, 2)
    with torch.no_grad():
        net.linear.weight.copy_(torch.stack([torch.zeros(4), torch.ones(4)]))
        net.linear.bias.copy_(torch.tensor([0.0, -2.0]))
    # 4 v / 255 against 2, and steps of 2.4 / 255 that round to 2: 126 to 129 change sides, 125 and 130 don't
    values = torch.tensor([0, 125, 126, 127, 128, 129, 130, 255], dtype=torch.uint8)
    images = values.view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    right = (values > 127).long()
    wrong = 1 - right
    added, labels = eight_bit_examples(net, images, right, LinfBall(radius=2.4 / 255))
    assert added.dtype == torch.uint8
    assert added[:, 0, 0, 0].tolist() == [128, 129, 126, 127]
    assert labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(InputError, match=r"in linf of radius 0\.00941\d* fools the baseline"):
        eight_bit_examples(net, images, wrong, LinfBall(radius=2.4 / 255))
    with pytest.raises(InputError, match=r"raise fed_back\.radius"):
        eight_bit_examples(net, images, right, LinfBall(radius=0.4 / 255))
