"""Names: those that mean something in the code, and what an experiment or a net may be called."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

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

_LONGEST = 64

PLAIN_NAME = (
    f"must be of lower-case letters, digits and _, of {_LONGEST} characters at most, and neither seed_ and a number nor one of "
    f"{', '.join(sorted(RESERVED))}"
)
# what measures a net has its name with one of these
_MEASURED = ("_clipping", "_evaluation", "_robustness", "_smallest_perturbations", "_verification")


def is_plain_name(name: object) -> bool:
    """Return whether that can name an experiment or a net: in paths, tags and names of nodes."""
    return (
        isinstance(name, str)
        and re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None
        # it stands in names of files, with others
        and len(name) <= _LONGEST
        and name not in RESERVED
        # where other seeds' outputs lie
        and re.fullmatch(r"seed_[0-9]+", name) is None
    )


def _net_name(name: str) -> str:
    if not is_plain_name(name):
        raise ValueError(f"net {name!r} {PLAIN_NAME}")
    if name.endswith(_MEASURED):
        raise ValueError(f"net {name!r} must end in none of {', '.join(_MEASURED)}")
    return name


NetName = Annotated[str, AfterValidator(_net_name)]
