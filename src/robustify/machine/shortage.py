"""Whether an error means that there wasn't enough memory."""

from __future__ import annotations

import torch

# PyTorch says it in a type of its own for a GPU only
_WORDS = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")


def is_memory_shortage(error: BaseException) -> bool:
    """Return whether the error comes of too little memory, on whatever device."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)
    )
