"""Algorithm 1: a net trained on its own worst cases, from the first step or the last checkpoint to the end."""

from __future__ import annotations

from robustify.training.algorithm import DivergenceError, OutOfMemoryError, train
from robustify.training.recipe import Epoch, Recipe

__all__ = ["DivergenceError", "Epoch", "OutOfMemoryError", "Recipe", "train"]
