"""How a net is trained, and what an epoch of it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.machine.devices import Precision
from robustify.training.watch import Seen, Watch

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]
# those of torch.compile; reduce-overhead records CUDA graphs where there is a GPU
COMPILE_MODES: tuple[CompileMode, ...] = get_args(CompileMode)


@dataclass(frozen=True)
class Recipe:
    """How long and by what steps a net is trained; baseline, control and robust nets share it.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a descent step.
        optimiser: name and options, see :func:`robustify.training.optimisers.make_descent`.
        schedule: name and options, see :func:`robustify.training.schedules.make_schedule`.
        translation: largest random shift in pixels.
        flips: mirror a random half of the images in every epoch.
        precision: ``auto``, ``bfloat16`` or ``float32``.
        held_out: training images that aren't trained on, see :func:`robustify.training.held_out.split`.
        watch: what is looked at on them after every epoch; nothing if left out.
        averaging: decay of the weights' moving average, whose end is the result; 0 takes the last weights.
        radius_warmup: share of the training over which the set's radius rises linearly to its full size.
        compile: mode of ``torch.compile`` for the net's passes, one of ``COMPILE_MODES``; None leaves it out.

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
    held_out: int = 0
    watch: Watch | None = None
    averaging: float = 0.0
    radius_warmup: float = 0.0
    compile: CompileMode | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Recipe:
        """Return the recipe of an experiment's ``training``, see :class:`robustify.configuration.Training`."""
        watch = options.get("watch")
        return cls(**{**options, "watch": None if watch is None else Watch(**watch)})

    def __post_init__(self) -> None:
        require_at_least(1, epochs=self.epochs, batch_size=self.batch_size)
        require_at_least(0, translation=self.translation, held_out=self.held_out)
        for name in ("averaging", "radius_warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        if self.compile not in (None, *COMPILE_MODES):
            raise InputError(
                f"compile is {self.compile!r}; known: {', '.join(COMPILE_MODES)}, null"
            )
        if self.watch is not None and (self.watch.images or 1) > self.held_out:
            raise InputError(
                f"watch looks at {self.watch.images or 'the held-out'} images, but held_out is {self.held_out}; raise it"
            )


@dataclass(frozen=True)
class Epoch:
    """What one epoch of training came to.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean training loss over the epoch.
        test_accuracy: share of test images classified right after the epoch.
        seconds: training time of the epoch, evaluation left out.
        seen: what was right of the held-out images, where they are watched.
        overfits: whether that is catastrophic overfitting.
        kept: whether this epoch's weights are the result; said once the training is over.
    """

    epoch: int
    loss: float
    test_accuracy: float
    seconds: float
    seen: Seen | None = None
    overfits: bool | None = None
    kept: bool | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Epoch:
        """Return the epoch that ``dataclasses.asdict`` made ``stored`` of."""
        seen = stored.get("seen")
        return cls(**{**stored, "seen": None if seen is None else Seen(**seen)})

    def row(self) -> dict[str, float | bool]:
        """Return the epoch as one row of the learning curve; what wasn't watched isn't there."""
        own = {name: value for name, value in asdict(self).items() if value is not None}
        seen = own.pop("seen", {})
        return {**own, **{f"held_out_{name}": value for name, value in seen.items()}}

    def metrics(self) -> dict[str, float]:
        """Return the epoch's figures by name, without its number."""
        return {
            name: float(value)
            for name, value in self.row().items()
            if name not in ("epoch", "kept")
        }

    def progress(self, epochs: int) -> dict[str, str]:
        """Return what the progress bar shows."""
        shown = {
            "epoch": f"{self.epoch}/{epochs}",
            "loss": f"{self.loss:.3f}",
            "test": f"{self.test_accuracy:.2%}",
        }
        if self.seen is not None:
            shown["held-out"] = f"{self.seen.accuracy:.1%}"
            shown["one-step"] = f"{self.seen.fgsm_accuracy:.1%}"
            shown["pgd"] = f"{self.seen.pgd_accuracy:.1%}"
        return shown
