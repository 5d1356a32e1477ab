"""How a net is trained, and what an epoch of it came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from robustify.devices import Precision
from robustify.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """How long and by what steps a net is trained; baseline, control and robust nets share it.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a descent step.
        optimiser: name and options, see :func:`robustify.optimisers.make_descent`.
        schedule: name and options, see :func:`robustify.optimisers.make_schedule`.
        translation: largest random shift in pixels.
        flips: mirror a random half of the images in every epoch.
        precision: ``auto``, ``bfloat16`` or ``float32``.

    Raises:
        ValueError: if a number is out of range.
    """

    epochs: int
    batch_size: int
    optimiser: dict[str, Any]
    schedule: dict[str, Any] = field(default_factory=lambda: {"name": "triangle"})
    translation: int = 0
    flips: bool = False
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("translation", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name} is {value!r}; it must be a whole number >= {least}")


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean training loss over the epoch.
        test_accuracy: share of test images classified right after the epoch.
        seconds: training time of the epoch, evaluation left out.
    """

    epoch: int
    loss: float
    test_accuracy: float
    seconds: float

    def metrics(self) -> dict[str, float]:
        """Return the epoch's figures by name, without its number."""
        return {name: value for name, value in asdict(self).items() if name != "epoch"}

    def progress(self, epochs: int) -> dict[str, str]:
        """Return what the progress bar shows."""
        return {
            "epoch": f"{self.epoch}/{epochs}",
            "loss": f"{self.loss:.3f}",
            "test": f"{self.test_accuracy:.2%}",
        }
