"""The shape of an experiment's parameters, checked before the first node runs.

Names of nets, uncertainty sets and optimisers are checked where those are made; here stand
the keys, their types and their ranges.
"""

from robustify.configuration.base import LARGEST
from robustify.configuration.experiment import Experiment, Paper, Reported
from robustify.configuration.measurement import (
    AcrossSeeds,
    AdversarialSet,
    Evaluation,
    Objectives,
    ProjectedGradientAttack,
    Readings,
    SinglePixel,
    SmallestPerturbations,
    Steps,
    Transfer,
)
from robustify.configuration.names import (
    ALL_ATTACKS,
    AUTOATTACK,
    BASELINE,
    CONTROL,
    PLAIN_NAME,
    POINT,
    TANGENT_OBJECTIVE,
    TANGENT_SET,
    WORST_CASE,
    is_plain_name,
)
from robustify.configuration.nets import (
    Net,
    architecture_of,
    needs_tangent_planes,
    objective_of,
    training_of,
)
from robustify.configuration.training import Data, ObjectiveOptions, TangentPlanes, Training, Watch
from robustify.configuration.verification import Ball, Depth, GateOptions, Verification

__all__ = [
    "ALL_ATTACKS",
    "AUTOATTACK",
    "BASELINE",
    "CONTROL",
    "LARGEST",
    "PLAIN_NAME",
    "POINT",
    "TANGENT_OBJECTIVE",
    "TANGENT_SET",
    "WORST_CASE",
    "AcrossSeeds",
    "AdversarialSet",
    "Ball",
    "Data",
    "Depth",
    "Evaluation",
    "Experiment",
    "GateOptions",
    "Net",
    "ObjectiveOptions",
    "Objectives",
    "Paper",
    "ProjectedGradientAttack",
    "Readings",
    "Reported",
    "SinglePixel",
    "SmallestPerturbations",
    "Steps",
    "TangentPlanes",
    "Training",
    "Transfer",
    "Verification",
    "Watch",
    "architecture_of",
    "is_plain_name",
    "needs_tangent_planes",
    "objective_of",
    "training_of",
]
