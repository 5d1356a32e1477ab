"""Sizes of perturbations and seeds: single ones, and lists that name none twice."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from robustify.configuration.base import LARGEST

Norm = Literal["l1", "l2", "linf"]
Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _epsilons_in_range(epsilons: list[float]) -> list[float]:
    for epsilon in epsilons:
        if not (math.isfinite(epsilon) and 0 <= epsilon <= 1):
            raise ValueError(f"epsilon {epsilon} must be in [0, 1]")
    if len({f"{epsilon:.6g}" for epsilon in epsilons}) != len(epsilons):
        raise ValueError("epsilons repeat, or differ in less than six digits")
    return epsilons


Epsilons = Annotated[list[float], Field(min_length=1), AfterValidator(_epsilons_in_range)]


def _without_repetition(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError(f"{values} names something twice; leave one out")
    return values


def _in_six_digits(radii: list[float]) -> list[float]:
    # tables and files name them so
    _without_repetition([f"{radius:.6g}" for radius in radii])
    return radii


Radii = Annotated[list[Epsilon], Field(min_length=1), AfterValidator(_in_six_digits)]


def _as_seeds(seeds: object) -> object:
    # --params=mnist.seeds="0 1" can't say a list
    if isinstance(seeds, str):
        if not re.fullmatch(r"[0-9]+( [0-9]+)*", seeds):
            raise ValueError("seeds are whole numbers >= 0, one or more, separated by spaces")
        return [int(seed) for seed in seeds.split()]
    return [seeds] if isinstance(seeds, int) else seeds


Seed = Annotated[int, Field(ge=0, lt=LARGEST)]
Seeds = Annotated[list[Seed], BeforeValidator(_as_seeds), AfterValidator(_without_repetition)]
