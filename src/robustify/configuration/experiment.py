"""All parameters of one experiment, and where they contradict each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from robustify.configuration.base import LARGEST, Named, Strict, WithoutDropped
from robustify.configuration.measurement import (
    AcrossSeeds,
    AdversarialSet,
    Evaluation,
    Objectives,
    Readings,
    SmallestPerturbations,
)
from robustify.configuration.names import BASELINE, CONTROL, POINT
from robustify.configuration.nets import Net, Nets, needs_tangent_planes
from robustify.configuration.training import Data, ObjectiveOptions, TangentPlanes, Training
from robustify.configuration.values import Seeds
from robustify.configuration.verification import Verification

# folders of other outputs than a net's
_FOLDERS = (
    "across_seeds",
    "checkpoints",
    "figures",
    "full_verification_figures",
    "objectives",
    "readings",
    "smallest_perturbations",
)


class Reported(Strict):
    """What the paper reports of a net, as shares."""

    test_accuracy: float = Field(ge=0, le=1)
    adversarial_set_accuracy: float = Field(ge=0, le=1)


class Paper(Strict):
    """What the paper reports of the experiment; ``nets`` is empty where it reports nothing."""

    adversarial_set_size: int | None = Field(default=None, ge=1, lt=LARGEST)
    nets: Annotated[dict[str, Reported], WithoutDropped] = Field(default_factory=dict)


class Experiment(Strict):
    """All parameters of one experiment."""

    title: str
    seed: int = Field(ge=0, lt=LARGEST)
    environment: str
    folder: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)] | None = None
    device: str
    data: Data
    net: Named
    training: Training
    objective: ObjectiveOptions
    nets: Nets
    adversarial_set: AdversarialSet
    evaluation: Evaluation
    verification: Verification = Verification()
    classes: list[str]
    paper: Paper
    tangent_planes: TangentPlanes | None = None
    objectives: Objectives | None = None
    readings: Readings | None = None
    smallest_perturbations: SmallestPerturbations | None = None
    seeds: Seeds = Field(default_factory=list)
    across_seeds: AcrossSeeds | None = None

    @property
    def all_nets(self) -> dict[str, tuple[str, Net]]:
        """Every net's parameters under its name, with the key that they stand under."""
        return {
            name: (f"{key}.{name}", net)
            for key, nets in self._groups().items()
            for name, net in nets.items()
        }

    def nets_with(self, *groups: str) -> tuple[str, ...]:
        """Return the names of the experiment's own nets, and of those in ``objectives.nets``, ``readings.nets`` and the like."""
        found = self._groups()
        return tuple(name for group in ("nets", *groups) for name in found[group])

    def _groups(self) -> dict[str, dict[str, Net]]:
        return {
            "nets": self.nets,
            "objectives.nets": self.objectives.nets if self.objectives else {},
            "readings.nets": self.readings.nets if self.readings else {},
            "across_seeds.transfer.nets": self.across_seeds.transfer.nets
            if self.across_seeds
            else {},
        }

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield keys whose values don't go with others, and why."""
        yield from self._architectures_out_of_place()
        yield from self._nets_named_twice()
        taken = {*self.all_nets, *_FOLDERS}
        if self.folder in taken or (self.folder or "").startswith("seed_"):
            yield "folder", f"is {self.folder!r}, where other outputs lie; choose another name"
        baseline = self.nets.get(BASELINE)
        if baseline is None or baseline.uncertainty_set.name != POINT:
            yield (
                "nets.baseline",
                "must be there with uncertainty_set {name: point}: it is attacked",
            )
        if baseline is not None and baseline.fed_back is not None:
            yield "nets.baseline.fed_back", "the baseline can't be fed examples made against it"
        yield from self._no_control()
        for name in self.paper.nets:
            if name not in self.nets:
                yield (
                    f"paper.nets.{name}",
                    f"is no net of the experiment; known: {', '.join(self.nets)}; null leaves it out",
                )
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            yield "classes", f"names {', '.join(twice)} twice"
        if self.across_seeds is not None:
            for name, net in self.across_seeds.transfer.nets.items():
                if needs_tangent_planes(self.objective.model_dump(), net):
                    key = f"across_seeds.transfer.nets.{name}"
                    yield key, "nets that only transfer is measured on have no tangent planes"

    def _no_control(self) -> Iterator[tuple[str, str]]:
        baseline, control = self.nets.get(BASELINE), self.nets.get(CONTROL)
        if baseline is None or control is None:
            return
        if control.uncertainty_set.name != POINT:
            yield (
                f"nets.{CONTROL}.uncertainty_set",
                "must be {name: point}: it is a second baseline",
            )
        if control.seed_offset == baseline.seed_offset:
            yield (
                f"nets.{CONTROL}.seed_offset",
                f"is {control.seed_offset}, the baseline's; with the same seed it would be the same net",
            )

    def _architectures_out_of_place(self) -> Iterator[tuple[str, str]]:
        for key, net in self.all_nets.values():
            if "name" in net.net and not key.startswith("across_seeds."):
                yield f"{key}.net", "has options of the experiment's net; leave 'name' out"

    def _nets_named_twice(self) -> Iterator[tuple[str, str]]:
        groups = self._groups()
        for one, other in itertools.combinations(groups, 2):
            for name in sorted(groups[one].keys() & groups[other].keys()):
                yield f"{other}.{name}", f"{one} has a net of that name, too; rename either"
