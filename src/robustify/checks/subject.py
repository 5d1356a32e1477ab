"""An experiment whose parameters are checked, and what is known of its data."""

from __future__ import annotations

from dataclasses import dataclass

from robustify.configuration import Experiment
from robustify.errors import InputError
from robustify.ingestion.specification import Specification, specification_of


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        experiment: its parameters.
        data: what is known of the data; None of unknown data, and what depends on them is left out.
    """

    experiment: Experiment
    data: Specification | None

    @classmethod
    def of(cls, experiment: Experiment) -> Subject:
        """Return the experiment with what is known of its data."""
        try:
            return cls(experiment, specification_of(experiment.data.name))
        except InputError:
            return cls(experiment, None)
