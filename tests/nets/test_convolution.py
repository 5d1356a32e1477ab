"""The quick input gradient against the library's own, and against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from robustify.errors import InputError
from robustify.nets.convolution import ImageConvolution, input_gradient_in_blocks


def pair(channels: int, filters: int, size: int) -> tuple[nn.Module, nn.Conv2d]:
    torch.manual_seed(0)
    quick = ImageConvolution(channels, filters, size).double()
    plain = nn.Conv2d(channels, filters, size, padding=size // 2).double()
    plain.load_state_dict(quick.state_dict())
    return quick, plain


def gradients(net: nn.Module, x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    leaf = x.clone().requires_grad_(True)
    loss = (net(leaf) * target).sum().square()
    return torch.autograd.grad(loss, [leaf, *net.parameters()])


def test_filters_of_an_even_side_are_refused() -> None:
    with pytest.raises(InputError, match="kernel_size is 4; it must be odd"):
        ImageConvolution(1, 2, 4)


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize(
    ("channels", "filters", "size", "shape"),
    [(1, 32, 5, (28, 28)), (3, 4, 3, (8, 12)), (2, 5, 1, (4, 4)), (1, 2, 7, (8, 8)), (1, 2, 3, (7, 9))],
)  # fmt: skip
def test_values_and_gradients_are_those_of_the_library(
    batch: int, channels: int, filters: int, size: int, shape: tuple[int, int]
) -> None:
    quick, plain = pair(channels, filters, size)
    x = torch.randn(batch, channels, *shape, dtype=torch.float64)
    target = torch.randn(batch, filters, *shape, dtype=torch.float64)
    assert torch.equal(quick(x), plain(x))
    for ours, theirs in zip(gradients(quick, x, target), gradients(plain, x, target), strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("block", [(4, 4), (4, 2), (1, 1), (2, 6), (8, 12)])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_blocks_of_any_shape_give_the_librarys_gradient(block: tuple[int, int], size: int) -> None:
    gradient = torch.randn(3, 4, 8, 12, dtype=torch.float64)
    weight = torch.randn(4, 2, size, size, dtype=torch.float64)
    expected = nn.grad.conv2d_input((3, 2, 8, 12), weight, gradient, padding=size // 2)
    found = input_gradient_in_blocks(gradient, weight, block)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_square_blocks_keep_the_layout() -> None:
    # which kernels compute the next pass, and so its last bits, hangs on it
    gradient = torch.randn(3, 4, 8, 12).contiguous(memory_format=torch.channels_last)
    found = input_gradient_in_blocks(gradient, torch.randn(4, 2, 3, 3), (4, 4))
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("matched", ["images", "images and weights"])
def test_gradients_can_be_differentiated_once_more(matched: str) -> None:
    quick, plain = pair(2, 3, 3)
    x = torch.randn(2, 2, 4, 8, dtype=torch.float64)
    found = []
    for net in (quick, plain):
        leaf = x.clone().requires_grad_(True)
        everything = [leaf, net.weight, net.bias]
        wanted = everything if matched == "images and weights" else [leaf]
        # a third power makes gradients depend on images and weights
        first = torch.autograd.grad(net(leaf).pow(3).sum(), wanted, create_graph=True)
        loss = sum(part.square().sum() for part in first)
        found.append([*first, *torch.autograd.grad(loss, everything)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-8)


def test_gradients_are_those_of_finite_differences() -> None:
    quick, _ = pair(1, 2, 3)
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: quick(x).tanh(), (x,))


def test_forward_mode_goes_through() -> None:
    quick, plain = pair(1, 3, 5)
    x, direction = torch.randn(2, 2, 1, 8, 8, dtype=torch.float64)
    changes = []
    for net in (quick, plain):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x.clone().requires_grad_(True), direction)
            changes.append(forward_ad.unpack_dual(net(dual)).tangent)
    assert torch.equal(*changes)


def test_in_bfloat16_the_input_gradient_is_as_near_as_the_librarys() -> None:
    quick, plain = pair(1, 32, 5)
    x, target = torch.randn(4, 1, 28, 28).double(), torch.randn(4, 32, 28, 28).double()
    exact = gradients(plain, x, target)[0].float()
    errors = []
    for net in (quick.float(), plain.float()):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = gradients(net, x.float(), target.float())[0]
        assert found.dtype == torch.float32
        errors.append(float((found - exact).norm() / exact.norm()))
    assert errors[0] < 1.5 * errors[1] + 1e-3
