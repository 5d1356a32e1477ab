"""The shape of an experiment's parameters, checked before the first node runs.

Names of nets, uncertainty sets and optimisers are checked where those are made; here stand
the keys, their types and their ranges.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from robustify.limits import require_reach

# of whole numbers: more images, steps or units than anyone has
LARGEST = 2**31

# stage tags of the pipelines, so that --tags=NAME means one thing
RESERVED = {
    "adversarial_set",
    "evaluation",
    "feedback",
    "gathering",
    "ingestion",
    # what a table reads as a missing value
    "nan",
    "null",
    "objectives",
    "readings",
    "reporting",
    "robust",
    "seeds",
    "smallest_perturbations",
    "tangents",
    "transfer",
    "training",
    "verification",
}


# what measures a net has its name with one of these
_MEASURED = ("_clipping", "_evaluation", "_robustness", "_smallest_perturbations", "_verification")


def _net_name(name: str) -> str:
    if not is_plain_name(name):
        raise ValueError(f"net {name!r} {PLAIN_NAME}")
    if name.endswith(_MEASURED):
        raise ValueError(f"net {name!r} must end in none of {', '.join(_MEASURED)}")
    return name


def is_plain_name(name: object) -> bool:
    """Return whether that can name an experiment or a net: in paths, tags and names of nodes."""
    return (
        isinstance(name, str)
        and re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None
        and name not in RESERVED
        # where other seeds' outputs lie
        and re.fullmatch(r"seed_[0-9]+", name) is None
    )


PLAIN_NAME = (
    "must be of lower-case letters, digits and _, and neither seed_ and a number nor one of "
    f"{', '.join(sorted(RESERVED))}"
)


NetName = Annotated[str, AfterValidator(_net_name)]


def _kept(entries: Any) -> Any:
    # null drops what one configuration inherits from another
    if not isinstance(entries, Mapping):
        return entries
    return {name: entry for name, entry in entries.items() if entry is not None}


_WithoutDropped = BeforeValidator(_kept)
BASELINE = "baseline"
CONTROL = "control"
POINT = "point"
# names in tables: AutoAttack, and what outlasts every attack of a ball
AUTOATTACK = "autoattack"
ALL_ATTACKS = "all_attacks"
WORST_CASE = "worst_case"
# what needs the tangent planes of the training images
TANGENT_SET = "tangent"
TANGENT_OBJECTIVE = "manifold_tangent"
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
# options that every objective has
_SHARED_OPTIONS = ("label_smoothing", "inner_mode")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Named(BaseModel):
    """A part chosen by name; its other keys are options of that part."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str


class Data(_Strict):
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


class Watch(_Strict):
    """See :class:`robustify.training.watch.Watch`."""

    images: int | None = Field(default=None, ge=1, lt=LARGEST)
    epsilon: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    steps: int = Field(default=10, ge=1, lt=LARGEST)
    relative_step: float = Field(default=0.25, gt=0, le=2, allow_inf_nan=False)
    threshold: float = Field(default=0.2, gt=0, lt=1)
    action: Literal["warn", "stop", "restore"] = "warn"
    keep: Literal["last", "best"] = "last"
    patience: int | None = Field(default=None, ge=1, lt=LARGEST)


class Training(_Strict):
    """See :class:`robustify.training.Recipe`."""

    epochs: int = Field(ge=1, lt=LARGEST)
    batch_size: int = Field(ge=1, lt=LARGEST)
    optimiser: _Named
    schedule: _Named
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
    optimiser: _Named = _Named(name="sgd")
    schedule: _Named = _Named(name="triangle")


class ObjectiveOptions(_Strict):
    """An objective of :mod:`robustify.objectives`; other keys are options of that objective."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = WORST_CASE
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    inner_mode: Literal["train", "eval"] = "train"


class TangentPlanes(_Strict):
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


class Net(_Strict):
    """What sets a net apart from the others of its experiment.

    Attributes:
        seed_offset: added to the experiment's seed.
        uncertainty_set: what the net is trained against.
        maximiser: how the worst input is looked for.
        objective: overrides of the experiment's objective, see :func:`objective_of`.
        net: options of the architecture that differ from the experiment's; where ``transfer`` trains the net, it may be
            another architecture, by ``name``.
        training: entries of the experiment's ``training`` that differ for this net.
        fed_back: uncertainty set whose fixed adversarial examples, made of the training images
            against the baseline, are added to them.
    """

    seed_offset: int = Field(default=1, ge=0, lt=LARGEST)
    uncertainty_set: _Named
    maximiser: _Named = _Named(name="steepest_ascent")
    objective: dict[str, Any] = Field(default_factory=dict)
    net: dict[str, Any] = Field(default_factory=dict)
    training: OwnTraining | None = None
    fed_back: _Named | None = None


Nets = Annotated[dict[NetName, Net], _WithoutDropped]


def architecture_of(shared: Mapping[str, Any], net: Net) -> dict[str, Any]:
    """Return name and options of a net's architecture: its own, or the experiment's with options of its own.

    Args:
        shared: the experiment's ``net``.
        net: the net's parameters.
    """
    return dict(net.net) if "name" in net.net else {**shared, **net.net}


def objective_of(shared: Mapping[str, Any], net: Net) -> dict[str, Any]:
    """Return the name and options of a net's objective.

    A net's own entries win over the experiment's, whose options of another objective than the
    net's don't count. A net on points keeps to the plain loss unless it names an objective itself.

    Args:
        shared: the experiment's ``objective``.
        net: the net's parameters.
    """
    inherited = str(shared.get("name", WORST_CASE))
    on_points = net.uncertainty_set.name == POINT
    name = net.objective.get("name", WORST_CASE if on_points else inherited)
    options = {
        key: value for key, value in shared.items() if name == inherited or key in _SHARED_OPTIONS
    }
    return {**options, **net.objective}


def training_of(shared: Mapping[str, Any], net: Net) -> dict[str, Any]:
    """Return a net's training: each entry of its own in place of the experiment's.

    Args:
        shared: the experiment's ``training``.
        net: the net's parameters.
    """
    own = net.training.model_dump(exclude_unset=True) if net.training else {}
    return {**shared, **own}


def needs_tangent_planes(shared: Mapping[str, Any], net: Net) -> bool:
    """Return whether a net can't be trained without the training images' tangent planes.

    Args:
        shared: the experiment's ``objective``.
        net: the net's parameters.
    """
    return (
        net.uncertainty_set.name == TANGENT_SET
        or objective_of(shared, net).get("name") == TANGENT_OBJECTIVE
    )


class AdversarialSet(_Strict):
    """Uncertainty sets, by name, that the stored adversarial examples come from."""

    sets: Annotated[dict[str, dict[str, Any]], _WithoutDropped] = Field(min_length=1)

    @field_validator("sets")
    @classmethod
    def _named_once(cls, sets: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, options in sets.items():
            if "name" in options:
                raise ValueError(f"{name} is named by its key; leave 'name' out")
        return sets


def _epsilons_in_range(epsilons: list[float]) -> list[float]:
    for epsilon in epsilons:
        if not (math.isfinite(epsilon) and 0 <= epsilon <= 1):
            raise ValueError(f"epsilon {epsilon} must be in [0, 1]")
    if len({f"{epsilon:.6g}" for epsilon in epsilons}) != len(epsilons):
        raise ValueError("epsilons repeat, or differ in less than six digits")
    return epsilons


Epsilons = Annotated[list[float], Field(min_length=1), AfterValidator(_epsilons_in_range)]


class Evaluation(_Strict):
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


class ProjectedGradientAttack(_Strict):
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


Norm = Literal["l1", "l2", "linf"]
Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _without_repetition(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError(f"{values} names something twice; leave one out")
    return values


def _in_six_digits(radii: list[float]) -> list[float]:
    # tables and files name them so
    _without_repetition([f"{radius:.6g}" for radius in radii])
    return radii


Radii = Annotated[list[Epsilon], Field(min_length=1), AfterValidator(_in_six_digits)]


class Ball(_Strict):
    """A norm ball around every image.

    Attributes:
        norm: ``l1``, ``l2`` or ``linf``.
        epsilon: its radius, in pixel units of the [0, 1] scale.
    """

    norm: Norm
    epsilon: Epsilon


class GateOptions(_Strict):
    """How thoroughly the sanity gates look."""

    images: int = Field(default=200, ge=1, lt=LARGEST)
    steps: int = Field(default=10, ge=2, lt=LARGEST)


def _attack_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in {AUTOATTACK, ALL_ATTACKS}:
        raise ValueError(
            f"attack {name!r} must be of lower-case letters, digits and _, and neither autoattack "
            "(that has a key of its own) nor all_attacks"
        )
    return name


_PUBLISHED_ATTACKS: dict[str, dict[str, Any]] = {
    "one_step": {
        "name": "pgd",
        "steps": 1,
        "restarts": 1,
        "relative_step": 1.0,
        "random_start": False,
    },
    "pgd_20": {"name": "pgd", "steps": 20, "restarts": 5, "relative_step": 0.125},
    "pgd_50": {"name": "pgd", "steps": 50, "restarts": 5, "relative_step": 0.05},
    "apgd_ce": {"name": "apgd_ce"},
}


class Depth(_Strict):
    """One depth of verification: every net under every attack in every ball.

    Attributes:
        images: the first so many test images, or all if there are fewer.
        batch_size: images attacked at a time; as many are lost at most when a run is killed.
        norms: epsilons by norm, in pixel units of the [0, 1] scale.
        own_ball: the ball that a net was trained on is added for that net.
        attacks: by their name in tables; see :func:`robustify.attacks.make_attack`.
        autoattack: net to the ball in which it is put before the full standard AutoAttack.
        gates: how thoroughly the sanity gates look.
    """

    images: int = Field(default=1000, ge=1, lt=LARGEST)
    batch_size: int = Field(default=100, ge=1, lt=LARGEST)
    norms: Annotated[dict[Norm, Radii], _WithoutDropped] = Field(min_length=1)
    own_ball: bool = True
    attacks: Annotated[
        dict[Annotated[str, AfterValidator(_attack_name)], _Named], _WithoutDropped
    ] = Field(
        default_factory=lambda: {
            name: _Named(**options) for name, options in _PUBLISHED_ATTACKS.items()
        },
        min_length=1,
    )
    autoattack: Annotated[dict[NetName, Ball], _WithoutDropped] = Field(default_factory=dict)
    gates: GateOptions = GateOptions()


class Verification(_Strict):
    """What every net is put before; see :mod:`robustify.verification`.

    Attributes:
        brief: what is part of the experiment's own pipeline; nothing if left out.
        full: what the pipelines NAME_verification and verification do; none if left out.
        on_failure: whether a failed sanity gate stops the run or flags the net in every table.
        largest_share_of_zero_gradients: share of the images on which the loss gradient may be zero.
    """

    brief: Depth | None = None
    full: Depth | None = None
    on_failure: Literal["raise", "flag"] = "flag"
    largest_share_of_zero_gradients: float = Field(default=0.05, ge=0, le=1)


class Objectives(_Strict):
    """The nets that the pipeline ``objectives`` trains and puts beside those of the experiment."""

    pgd: ProjectedGradientAttack
    nets: Nets = Field(min_length=1)


class Readings(_Strict):
    """The nets that the pipeline ``readings`` trains: other readings of Eq. 11 than the experiment's own."""

    pgd: ProjectedGradientAttack
    nets: Nets = Field(min_length=1)


class SmallestPerturbations(_Strict):
    """What Szegedy's attack (Eq. 1) looks at; see :func:`robustify.szegedy.smallest_perturbations`.

    Attributes:
        images: the first so many test images, or all if there are fewer.
    """

    images: int = Field(default=100, ge=1, lt=LARGEST)
    candidates: int | None = Field(default=None, ge=1, lt=LARGEST)
    search_steps: int = Field(default=10, ge=1, lt=LARGEST)
    iterations: int = Field(default=50, ge=1, lt=LARGEST)
    batch_size: int = Field(default=128, ge=1, lt=LARGEST)


def _as_seeds(seeds: object) -> object:
    # --params=mnist.seeds="0 1" can't say a list
    if isinstance(seeds, str):
        if not re.fullmatch(r"[0-9]+( [0-9]+)*", seeds):
            raise ValueError("seeds are whole numbers >= 0, one or more, separated by spaces")
        return [int(seed) for seed in seeds.split()]
    return [seeds] if isinstance(seeds, int) else seeds


Seed = Annotated[int, Field(ge=0, lt=LARGEST)]
Seeds = Annotated[list[Seed], BeforeValidator(_as_seeds), AfterValidator(_without_repetition)]


class Steps(_Strict):
    """Accuracy under one ascent step against a net's own weights, in other norms than l∞.

    Attributes:
        images: the first so many test images, or all if left out.
        radii: by norm, in pixel units of the [0, 1] scale.
    """

    images: int | None = Field(default=None, ge=1, lt=LARGEST)
    radii: Annotated[dict[Norm, Radii], _WithoutDropped] = Field(min_length=1)


class SinglePixel(_Strict):
    """How many test images one pixel can flip; see :mod:`robustify.single_pixel`.

    Attributes:
        candidates: pixels tried of every image, those that promise most.
        exhaustive_images: of so many images every pixel is tried, to see what the candidates miss.
    """

    candidates: int = Field(ge=1, lt=LARGEST)
    exhaustive_images: int = Field(default=100, ge=1, lt=LARGEST)


class Transfer(AdversarialSet):
    """Which examples every net is given of every other; see :mod:`robustify.transfer`.

    Attributes:
        images: the first so many test images, or all if left out.
        nets: trained for this alone, on the experiment's data; of other architectures, say.
        also: stored nets, by name: path of the file.
    """

    images: int | None = Field(default=None, ge=1, lt=LARGEST)
    nets: Nets = Field(default_factory=dict)
    also: Annotated[dict[NetName, str], _WithoutDropped] = Field(default_factory=dict)


class AcrossSeeds(_Strict):
    """What the pipeline NAME_seeds measures of the stored nets of every seed."""

    steps: Steps
    single_pixel: SinglePixel | None = None
    transfer: Transfer


class Reported(_Strict):
    """What the paper reports of a net, as shares."""

    test_accuracy: float = Field(ge=0, le=1)
    adversarial_set_accuracy: float = Field(ge=0, le=1)


class Paper(_Strict):
    """What the paper reports of the experiment; ``nets`` is empty where it reports nothing."""

    adversarial_set_size: int | None = Field(default=None, ge=1, lt=LARGEST)
    nets: Annotated[dict[str, Reported], _WithoutDropped] = Field(default_factory=dict)


class Experiment(_Strict):
    """All parameters of one experiment."""

    title: str
    seed: int = Field(ge=0, lt=LARGEST)
    environment: str
    folder: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    device: str
    data: Data
    net: _Named
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
        yield from self._twins()
        for name in self.paper.nets:
            if name not in self.nets:
                yield (
                    f"paper.nets.{name}",
                    f"is no net of the experiment; known: {', '.join(self.nets)}",
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

    def _twins(self) -> Iterator[tuple[str, str]]:
        for (one, net), (other, twin) in itertools.combinations(self.nets.items(), 2):
            if net.model_dump() == twin.model_dump() and {one, other} != {BASELINE, CONTROL}:
                yield (
                    f"nets.{other}",
                    f"is nets.{one} again, its seed_offset included; it would be the same net: change it, or leave it out",
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
