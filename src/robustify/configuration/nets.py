"""What sets a net apart from the others of its experiment, and what it has in common with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from robustify.configuration.base import LARGEST, Named, Strict, WithoutDropped
from robustify.configuration.names import POINT, TANGENT_OBJECTIVE, TANGENT_SET, WORST_CASE, NetName
from robustify.configuration.training import OwnTraining

# options that every objective has
_SHARED_OPTIONS = ("label_smoothing", "inner_mode")


class Net(Strict):
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
    uncertainty_set: Named
    maximiser: Named = Named(name="steepest_ascent")
    objective: dict[str, Any] = Field(default_factory=dict)
    net: dict[str, Any] = Field(default_factory=dict)
    training: OwnTraining | None = None
    fed_back: Named | None = None


Nets = Annotated[dict[NetName, Net], WithoutDropped]


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
