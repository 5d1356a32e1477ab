from __future__ import annotations

import pytest
import torch

from robustify import validity
from robustify.errors import InputError
from robustify.verdicts import Verdict


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (validity.pixels_are_in_range(torch.tensor([0.0, 1.5])), r"from 0 to 1\.5.*in \[0, 1\]"),
        (validity.pixels_are_in_range(torch.tensor([-0.1, 1.0])), r"from -0\.1 to 1"),
        (validity.pixels_are_in_range(torch.tensor([torch.nan])), "aren't finite"),
        (validity.pixels_are_in_range(torch.tensor([3])), "int64; they must be uint8"),
        (
            validity.labels_are_in_range(torch.tensor([0, 3]), images=2, classes=3),
            "0 to 3; they must be 2 of .* 0 to 2",
        ),
        (validity.labels_are_in_range(torch.tensor([-1, 0]), images=2, classes=3), "from -1"),
        (validity.labels_are_in_range(torch.tensor([0]), images=2, classes=3), "must be 2 of"),
        (
            validity.labels_are_in_range(torch.tensor([0.0]), images=1, classes=3),
            "must be 1 of the net's classes, 0 to 2, as whole numbers",
        ),
        (validity.outputs_are_logits(torch.tensor([[1.0, torch.inf]])), "isn't finite on 1 of 1"),
        (validity.outputs_are_logits(torch.tensor([[0.25, 0.75]])), "gives probabilities"),
        (validity.outputs_are_logits(torch.zeros(2, 3, 4)), r"shape \(2, 3, 4\)"),
    ],
)
def test_what_cannot_be_attacked_is_refused_by_name(verdict: Verdict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        verdict.require()


@pytest.mark.parametrize(
    "verdict",
    [
        validity.pixels_are_in_range(torch.tensor([0.0, 1.0])),
        validity.pixels_are_in_range(torch.tensor([255], dtype=torch.uint8)),
        validity.labels_are_in_range(torch.tensor([0, 2]), images=2, classes=3),
        validity.outputs_are_logits(torch.tensor([[0.5, 0.6]])),
        validity.outputs_are_logits(torch.tensor([[-0.5, 1.5]])),
    ],
)
def test_what_is_right_passes(verdict: Verdict) -> None:
    verdict.require()


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("images", [2, 49, 60])
def test_probabilities_are_told_from_logits_in_whatever_numbers_they_were_made(
    kind: torch.dtype, images: int
) -> None:
    """As attacks see them, as float32, of however few images."""
    logits = torch.randn((images, 10), dtype=torch.float64)
    assert validity.are_probabilities(logits.to(kind).softmax(dim=1).float())
    assert not validity.are_probabilities(logits.to(kind).float())
    # in [0, 1], too, but of a sum that no rounding explains
    assert not validity.are_probabilities((0.5 * logits.softmax(dim=1)).to(kind).float())


def test_small_logits_of_few_images_are_no_probabilities() -> None:
    """A net that has hardly learned may give nothing but small positive logits."""
    small = torch.rand(49, 10, generator=torch.Generator().manual_seed(0)) * 0.9
    assert validity.outputs_are_logits(small).passed
    assert not validity.outputs_are_logits(torch.cat([small, small])).passed
    assert not validity.outputs_are_logits(small.softmax(dim=1)).passed


@pytest.mark.parametrize("honest", [torch.zeros(60, 10), 0.01 * torch.rand(60, 10)])
def test_small_logits_are_no_probabilities(honest: torch.Tensor) -> None:
    assert validity.outputs_are_logits(honest).passed
