from __future__ import annotations

import itertools

import pytest
import torch

from robustify.errors import InputError
from robustify.measurement.single_pixel import flipped_by_any_pixel, flipped_by_promising_pixels

from ..conftest import LinearNet


def brute_force(net: LinearNet, images: torch.Tensor, labels: torch.Tensor) -> list[bool]:
    found = []
    for image, label in zip(images.float() / 255, labels, strict=True):
        flipped = False
        colours = itertools.product((0.0, 1.0), repeat=3)
        for row, column, colour in itertools.product(range(2), range(2), list(colours)):
            changed = image.clone()
            changed[:, row, column] = torch.tensor(colour)
            flipped |= bool(net(changed[None]).argmax() != label)
        found.append(flipped and bool(net(image[None]).argmax() == label))
    return found


def test_every_pixel_is_tried(linear_net: LinearNet, generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (60, 3, 2, 2), generator=generator).to(torch.uint8)
    labels = linear_net.eval()(images.float() / 255).argmax(dim=1)
    labels[:10] = (labels[:10] + 1) % 4
    expected = brute_force(linear_net, images, labels)
    assert 0 < sum(expected) < 50
    found = flipped_by_any_pixel(linear_net, images, labels, batch_size=3)
    assert found.tolist() == expected
    assert not found[:10].any(), "images that were wrong before aren't flipped"


def test_promising_pixels_find_no_more_and_all_of_a_margin() -> None:
    # one channel, two classes: the gradient is the margin's, so the most promising pixel is the best one
    net = LinearNet(4, 2)
    with torch.no_grad():
        net.linear.weight.copy_(torch.tensor([[0.0, 0, 0, 0], [4.0, -1.0, 0.5, 2.0]]))
        net.linear.bias.copy_(torch.tensor([0.0, -1.0]))
    grid = torch.tensor(list(itertools.product((0, 100, 255), repeat=4)), dtype=torch.uint8)
    images = grid.view(-1, 1, 2, 2)
    labels = net(images.float() / 255).argmax(dim=1)
    every = flipped_by_any_pixel(net, images, labels)
    assert 0 < int(every.sum()) < len(images)
    one = flipped_by_promising_pixels(net, images, labels, candidates=1, batch_size=10)
    assert torch.equal(one, every)
    all_of_them = flipped_by_promising_pixels(net, images, labels, candidates=99)
    assert torch.equal(all_of_them, every)


class Blind(LinearNet):
    """Gives no numbers where a pixel is black."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        black = (x == 0).flatten(1).any(dim=1, keepdim=True)
        return super().forward(x).masked_fill(black, torch.nan)


def test_no_number_is_no_flip(generator: torch.Generator) -> None:
    images = torch.randint(1, 255, (5, 3, 2, 2), generator=generator).to(torch.uint8)
    net = Blind(12, 4).eval()
    labels = net(images.float() / 255).argmax(dim=1)
    with pytest.raises(InputError, match="aren't finite where a pixel is at an extreme"):
        flipped_by_any_pixel(net, images, labels)


def test_floats_are_refused(linear_net: LinearNet) -> None:
    with pytest.raises(InputError, match=r"images are torch\.float32; they must be torch\.uint8"):
        flipped_by_any_pixel(linear_net, torch.rand(2, 3, 2, 2), torch.zeros(2).long())
    with pytest.raises(InputError, match=r"images are torch\.float32; they must be torch\.uint8"):
        flipped_by_promising_pixels(
            linear_net, torch.rand(2, 3, 2, 2), torch.zeros(2).long(), candidates=2
        )


def test_what_is_counted_are_flips_of_right_answers(linear_net: LinearNet) -> None:
    images = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    for labels in (torch.zeros(3, 1).long(), torch.full((3,), 100), torch.zeros(3), torch.zeros(2)):
        for count in (
            lambda labels=labels: flipped_by_any_pixel(linear_net, images, labels),
            lambda labels=labels: flipped_by_promising_pixels(
                linear_net, images, labels, candidates=2
            ),
        ):
            with pytest.raises(InputError, match="they must be 3 of the net's classes, 0 to 3"):
                count()
    labels = torch.zeros(3, dtype=torch.int64)
    with pytest.raises(InputError, match="candidates is 0; it must be a whole number"):
        flipped_by_promising_pixels(linear_net, images, labels, candidates=0)
    with pytest.raises(InputError, match="batch_size is 0"):
        flipped_by_any_pixel(linear_net, images, labels, batch_size=0)


def test_labels_may_be_of_any_whole_numbers(
    linear_net: LinearNet, generator: torch.Generator
) -> None:
    images = torch.randint(0, 256, (20, 3, 2, 2), generator=generator).to(torch.uint8)
    labels = linear_net.eval()(images.float() / 255).argmax(dim=1)
    for count in (flipped_by_any_pixel, flipped_by_promising_pixels):
        options = {} if count is flipped_by_any_pixel else {"candidates": 4}
        expected = count(linear_net, images, labels, **options)
        assert expected.any()
        assert torch.equal(count(linear_net, images, labels.to(torch.int32), **options), expected)
