"""All checks of an experiment's parameters, in one call."""

from __future__ import annotations

from robustify.checks.preflight import problems_of
from robustify.configuration import Experiment
from robustify.errors import InputError


def check(name: str, experiment: Experiment) -> None:
    """Raise an InputError that names every parameter that is off."""
    problems = problems_of(name, experiment)
    if problems:
        raise InputError("; ".join(f"{key}: {complaint}" for key, complaint in problems))
