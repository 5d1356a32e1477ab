"""Augmentation of the whole training array at once, uint8 in, uint8 out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from robustify.errors import InputError


def translate(images: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Shift every image by up to ``pixels`` in each direction, its border continued by reflection.

    Args:
        images: uint8, shape (N, C, H, W).
        pixels: largest shift; 0 returns the images as they are.
        generator: draws the shifts, on the CPU.

    Returns:
        Shifted images, shape (N, C, H, W).

    Raises:
        InputError: if the images are too small to be continued by so many pixels.
    """
    if pixels == 0:
        return images
    height, width = images.shape[2:]
    if pixels >= min(height, width):
        raise InputError(
            f"translation is {pixels}; images are {min(height, width)} pixels wide, so at most {min(height, width) - 1}"
        )
    places = 2 * pixels + 1
    drawn = torch.randint(places**2, (len(images),), generator=generator)
    shifted = torch.empty_like(images)
    for place in range(places**2):
        # found on the CPU: how many they are is nothing that a device has to be asked
        chosen = (drawn == place).nonzero()[:, 0].to(images.device)
        top, left = divmod(place, places)
        padded = functional.pad(images[chosen].float(), (pixels,) * 4, mode="reflect")
        shifted[chosen] = padded[:, :, top : top + height, left : left + width].to(images.dtype)
    return shifted


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror a random half of the images left to right; shape (N, C, H, W) stays."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(3), images)
