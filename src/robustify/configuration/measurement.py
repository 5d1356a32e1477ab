"""What is measured of an experiment's nets, and of nets that are trained for a comparison."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from robustify.configuration.base import LARGEST, Strict, WithoutDropped
from robustify.configuration.names import NetName
from robustify.configuration.nets import Nets
from robustify.configuration.values import Epsilons, Norm, Radii
from robustify.limits import require_reach


class AdversarialSet(Strict):
    """Uncertainty sets, by name, that the stored adversarial examples come from."""

    sets: Annotated[dict[str, dict[str, Any]], WithoutDropped] = Field(min_length=1)

    @field_validator("sets")
    @classmethod
    def _named_once(cls, sets: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, options in sets.items():
            if "name" in options:
                raise ValueError(f"{name} is named by its key; leave 'name' out")
        return sets


class Evaluation(Strict):
    """What is measured of every net.

    Attributes:
        epsilons: of one step in l∞, in pixel units of the [0, 1] scale; 0 is no step.
    """

    epsilons: Epsilons

    @field_validator("epsilons")
    @classmethod
    def _with_a_step(cls, epsilons: list[float]) -> list[float]:
        if max(epsilons) == 0:
            raise ValueError("0 alone is no step; name a larger one, too")
        return epsilons


class ProjectedGradientAttack(Strict):
    """See :class:`robustify.attacks.Pgd`; against the l∞ balls of these radii."""

    epsilons: Epsilons
    steps: int = Field(default=20, ge=1, lt=LARGEST)
    restarts: int = Field(default=1, ge=1, lt=LARGEST)
    relative_step: float = Field(default=0.1, gt=0, le=2, allow_inf_nan=False)
    images: int | None = Field(default=None, ge=1, lt=LARGEST)

    @field_validator("epsilons")
    @classmethod
    def _positive(cls, epsilons: list[float]) -> list[float]:
        if 0 in epsilons:
            raise ValueError("epsilon 0 is no attack")
        return epsilons

    @model_validator(mode="after")
    def _reaches_the_border(self) -> ProjectedGradientAttack:
        require_reach(self.steps, self.relative_step)
        return self


class Objectives(Strict):
    """The nets that the pipeline ``objectives`` trains and puts beside those of the experiment."""

    pgd: ProjectedGradientAttack
    nets: Nets = Field(min_length=1)


class Readings(Strict):
    """The nets that the pipeline ``readings`` trains: other readings of Eq. 11 than the experiment's own."""

    pgd: ProjectedGradientAttack
    nets: Nets = Field(min_length=1)


class SmallestPerturbations(Strict):
    """What Szegedy's attack (Eq. 1) looks at; see :func:`robustify.measurement.smallest_perturbations.smallest_perturbations`.

    Attributes:
        images: the first so many test images, or all if there are fewer.
    """

    images: int = Field(default=100, ge=1, lt=LARGEST)
    candidates: int | None = Field(default=None, ge=1, lt=LARGEST)
    search_steps: int = Field(default=10, ge=1, lt=LARGEST)
    iterations: int = Field(default=50, ge=1, lt=LARGEST)
    batch_size: int = Field(default=128, ge=1, lt=LARGEST)


class Steps(Strict):
    """Accuracy under one ascent step against a net's own weights, in other norms than l∞.

    Attributes:
        images: the first so many test images, or all if left out.
        radii: by norm, in pixel units of the [0, 1] scale.
    """

    images: int | None = Field(default=None, ge=1, lt=LARGEST)
    radii: Annotated[dict[Norm, Radii], WithoutDropped] = Field(min_length=1)


class SinglePixel(Strict):
    """How many test images one pixel can flip; see :mod:`robustify.measurement.single_pixel`.

    Attributes:
        candidates: pixels tried of every image, those that promise most.
        exhaustive_images: of so many images every pixel is tried, to see what the candidates miss.
    """

    candidates: int = Field(ge=1, lt=LARGEST)
    exhaustive_images: int = Field(default=100, ge=1, lt=LARGEST)


class Transfer(AdversarialSet):
    """Which examples every net is given of every other; see :mod:`robustify.measurement.transfer`.

    Attributes:
        images: the first so many test images, or all if left out.
        nets: trained for this alone, on the experiment's data; of other architectures, say.
        also: stored nets, by name: path of the file.
    """

    images: int | None = Field(default=None, ge=1, lt=LARGEST)
    nets: Nets = Field(default_factory=dict)
    also: Annotated[dict[NetName, str], WithoutDropped] = Field(default_factory=dict)


class AcrossSeeds(Strict):
    """What the pipeline NAME_seeds measures of the stored nets of every seed."""

    steps: Steps
    single_pixel: SinglePixel | None = None
    transfer: Transfer
