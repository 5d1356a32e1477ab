from __future__ import annotations

import pytest
import torch

from robustify.attacks.losses import dlr, margin, targeted_dlr
from robustify.errors import InputError

LOGITS = torch.tensor([[5.0, 3.0, 2.0, 1.0, -1.0], [5.0, 3.0, 2.0, 1.0, -1.0]])
LABELS = torch.tensor([0, 2])


def test_margin_is_the_lead_over_the_best_other_class() -> None:
    assert margin(LOGITS, LABELS).tolist() == [2.0, -3.0]


def test_dlr_by_hand() -> None:
    # right: -(5 - 3) / (5 - 2); wrong: -(2 - 5) / (5 - 2)
    torch.testing.assert_close(dlr(LOGITS, LABELS), torch.tensor([-2 / 3, 1.0]))


def test_targeted_dlr_by_hand() -> None:
    # -(5 - 1) / (5 - (2 + 1) / 2) and -(2 - 5) / (5 - (2 + 1) / 2)
    losses = targeted_dlr(LOGITS, LABELS, torch.tensor([3, 0]))
    torch.testing.assert_close(losses, torch.tensor([-4 / 3.5, 3 / 3.5]))


def test_ratios_ignore_scale_and_shift() -> None:
    targets = torch.tensor([1, 0])
    torch.testing.assert_close(dlr(7 * LOGITS + 3, LABELS), dlr(LOGITS, LABELS))
    torch.testing.assert_close(
        targeted_dlr(7 * LOGITS + 3, LABELS, targets), targeted_dlr(LOGITS, LABELS, targets)
    )


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(InputError, match="at least 3 classes; the net has 2"):
        dlr(LOGITS[:, :2], torch.tensor([0, 1]))
    with pytest.raises(InputError, match="at least 4 classes; the net has 3"):
        targeted_dlr(LOGITS[:, :3], LABELS, torch.tensor([1, 0]))
