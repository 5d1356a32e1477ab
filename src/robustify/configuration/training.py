"""How a net is trained: the data, the recipe, what it descends on."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from robustify.configuration.base import LARGEST, Named, Strict
from robustify.configuration.names import WORST_CASE


class Data(Strict):
    """Which data, where from, how much of it.

    Attributes:
        name: of the data set, see :data:`robustify.ingestion.specification.SPECIFICATIONS`.
        raw_directory: where a checked copy is kept.
        directory: where the data set's own files lie; they are fetched if left out.
        training_images: the first so many, or all if left out.
        test_images: the first so many, or all if left out.
    """

    name: str
    raw_directory: str = "data/01_raw"
    directory: str | None = None
    training_images: int | None = Field(default=None, ge=100, lt=LARGEST)
    test_images: int | None = Field(default=None, ge=100, lt=LARGEST)


class Watch(Strict):
    """See :class:`robustify.training.watch.Watch`."""

    images: int | None = Field(default=None, ge=1, lt=LARGEST)
    epsilon: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    steps: int = Field(default=10, ge=1, lt=LARGEST)
    relative_step: float = Field(default=0.25, gt=0, le=2, allow_inf_nan=False)
    threshold: float = Field(default=0.2, gt=0, lt=1)
    action: Literal["warn", "stop", "restore"] = "warn"
    keep: Literal["last", "best"] = "last"
    patience: int | None = Field(default=None, ge=1, lt=LARGEST)


class Training(Strict):
    """See :class:`robustify.training.Recipe`."""

    epochs: int = Field(ge=1, lt=LARGEST)
    batch_size: int = Field(ge=1, lt=LARGEST)
    optimiser: Named
    schedule: Named
    translation: int = Field(default=0, ge=0, lt=LARGEST)
    flips: bool = False
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    held_out: int = Field(default=0, ge=0, lt=LARGEST)
    watch: Watch | None = None
    averaging: float = Field(default=0.0, ge=0, lt=1)
    radius_warmup: float = Field(default=0.0, ge=0, lt=1)
    compile: Literal["default", "reduce-overhead", "max-autotune"] | None = None


class OwnTraining(Training):
    """What a net's training has of its own; only what is given counts, so these defaults never do."""

    epochs: int = Field(default=1, ge=1, lt=LARGEST)
    batch_size: int = Field(default=1, ge=1, lt=LARGEST)
    optimiser: Named = Named(name="sgd")
    schedule: Named = Named(name="triangle")


class ObjectiveOptions(Strict):
    """An objective of :mod:`robustify.objectives`; other keys are options of that objective."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = WORST_CASE
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    inner_mode: Literal["train", "eval"] = "train"


class TangentPlanes(Strict):
    """See :mod:`robustify.tangents`."""

    neighbours: int = Field(default=20, ge=1, lt=LARGEST)
    dimension: int = Field(default=8, ge=1, lt=LARGEST)

    @model_validator(mode="after")
    def _enough_neighbours(self) -> TangentPlanes:
        if self.dimension > self.neighbours:
            raise ValueError(
                f"dimension {self.dimension} is more than the {self.neighbours} neighbours span"
            )
        return self
