"""What images must be where they are counted in bytes."""

from __future__ import annotations

import torch
from torch import Tensor

from robustify.errors import InputError


def require_bytes(images: Tensor) -> None:
    """Refuse images that aren't uint8: floats would be divided by 255 once more.

    Raises:
        InputError: naming their type.
    """
    if images.dtype != torch.uint8:
        raise InputError(f"images are {images.dtype}; they must be torch.uint8")
