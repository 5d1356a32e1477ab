"""A convolution for images of few channels, whose gradient with respect to the images is quick."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional

from robustify.errors import InputError

# rows and columns of a block: as many pixels as a vector register holds floats, since more would multiply zeros
BLOCK = (4, 2) if torch.backends.cpu.get_cpu_capability() == "AVX2" else (4, 4)


class ImageConvolution(nn.Conv2d):
    """A convolution at stride 1 that keeps height and width, as a net's first layer.

    Values and gradients are those of ``torch.nn.Conv2d``. A library's input gradient of few channels is slow on a CPU (one output
    channel leaves most of a vector empty); here it is computed for blocks of pixels at once, as a convolution whose stride is a block and
    which has an output channel for each of its pixels, see :func:`input_gradient_in_blocks`. Gradients can be differentiated once more in weights and images.

    Args:
        in_channels: of the images.
        out_channels: number of filters.
        kernel_size: side of the filters; odd.

    Raises:
        InputError: if the side is even.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        if kernel_size % 2 == 0:
            raise InputError(f"kernel_size is {kernel_size}; it must be odd")
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved images, shape (N, out_channels, H, W)."""
        in_forward_mode = forward_ad.unpack_dual(x).tangent is not None
        whole = x.shape[2] % BLOCK[0] == x.shape[3] % BLOCK[1] == 0
        elsewhere = x.device.type != "cpu"
        if elsewhere or not x.requires_grad or in_forward_mode or not whole:
            return super().forward(x)
        # the weights' gradient stays the library's, and isn't computed where only the images' is asked for
        return cast(Tensor, _InputGradient.apply(super().forward(x.detach()), x, self.weight))


class _InputGradient(torch.autograd.Function):
    """The identity on a convolution's output, which gives the images their gradient."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        ctx.dtype = x.dtype
        ctx.save_for_backward(x, weight)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        by_input = input_gradient_in_blocks(gradient, weight.to(gradient.dtype))
        once_more = torch.is_grad_enabled() and ctx.needs_input_grad[2]
        by_weight = cast(Tensor, _WeightGradient.apply(x, gradient, weight)) if once_more else None
        return gradient, by_input.to(ctx.dtype), by_weight


class _WeightGradient(torch.autograd.Function):
    """Zero, with the derivative by the images that the library's weight gradient lacks, for it is given them detached."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor, weight: Tensor) -> Tensor:
        ctx.dtype = x.dtype
        ctx.save_for_backward(gradient)
        return torch.zeros_like(weight)

    @staticmethod
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        # ⟨direction, weight gradient⟩ is linear in the images: the convolution with the direction for weights
        by_images = input_gradient_in_blocks(gradient, direction.to(gradient.dtype))
        return by_images.to(ctx.dtype), None, None


def input_gradient_in_blocks(
    gradient: Tensor, weight: Tensor, block: tuple[int, int] = BLOCK
) -> Tensor:
    """Return what a convolution's output gradient is with respect to its input, shape (N, C, H, W).

    A block of B×D input pixels depends on (B + k − 1)(D + k − 1) output pixels, so a convolution with filters of these sides and
    strides B and D gives the blocks, each pixel of a block a channel.

    Args:
        gradient: with respect to the output, shape (N, F, H, W).
        weight: filters, shape (F, C, k, k), k odd, padded by k // 2.
        block: B and D; H is a multiple of B and W of D.
    """
    filters, channels, size, _ = weight.shape
    rows, columns = block
    room = functional.pad(weight.flip(2, 3), (columns - 1,) * 2 + (rows - 1,) * 2)
    height, width = rows + size - 1, columns + size - 1
    # window s holds the filter shifted by B − 1 − s
    windows = room.unfold(2, height, 1).unfold(3, width, 1).flip(2, 3)
    blocks = windows.permute(1, 2, 3, 0, 4, 5).reshape(-1, filters, height, width)
    blocks = blocks.contiguous(memory_format=torch.channels_last)
    pixels = functional.conv2d(gradient, blocks, stride=block, padding=size // 2)
    if rows == columns:
        # keeps the layout, which decides by which kernels a step's next pass is computed
        return functional.pixel_shuffle(pixels, rows)
    count, _, down, across = pixels.shape
    pixels = pixels.view(count, channels, rows, columns, down, across)
    return pixels.permute(0, 1, 4, 2, 5, 3).reshape(count, channels, rows * down, columns * across)
