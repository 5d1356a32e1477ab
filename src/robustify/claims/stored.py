"""What is stored of an experiment, as the page of results takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from robustify.reporting.titles import COMPLETE

AUTHORS = "paper"


def titled(title: str, environment: str) -> str:
    """Return an experiment's name as Markdown, with its settings where they aren't the default ones."""
    return title if environment == COMPLETE else f"{title}, `conf/{environment}`"


@dataclass(frozen=True)
class Stored:
    """What is stored of one experiment.

    Attributes:
        name: of the experiment.
        summary: see :func:`robustify.across_seeds.summarise`.
        details: see :func:`robustify.across_seeds.gather`.
        objectives: see :func:`robustify.reporting.comparison.objectives_table`, if it was made.
        readings: see :func:`robustify.reporting.readings.readings_table`, if it was made.
        distances: see :func:`robustify.reporting.distances.distances_table`, if it was made.
        watched: see :func:`robustify.claims.watched.watched_nets`, if a net was watched.
        figures: file names, relative to the page.
    """

    name: str
    summary: Mapping[str, Any]
    details: Mapping[str, Any]
    objectives: pd.DataFrame | None = None
    readings: pd.DataFrame | None = None
    distances: pd.DataFrame | None = None
    watched: pd.DataFrame | None = None
    figures: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name of the experiment for people, with its settings where they aren't the default ones."""
        return titled(str(self.details["title"]), self.environment)

    @property
    def environment(self) -> str:
        """The configuration that it was run with."""
        return str(self.details["environment"])

    @property
    def command(self) -> str:
        """What gathers the experiment's seeds, after ``kedro run``."""
        seeds = " ".join(map(str, self.summary["seeds"]))
        environment = "" if self.environment == COMPLETE else f"--env={self.environment} "
        return f"{environment}--pipeline={self.name}_seeds --params={self.name}.seeds='{seeds}'"

    def figure(self, name: str) -> str | None:
        """Return the path of the figure of this name, relative to the page, if there is one."""
        return next((path for path in self.figures if path.endswith(f"_{name}")), None)


@dataclass(frozen=True)
class Beginning:
    """The first epochs of an experiment under other settings than those of conf/base.

    Attributes:
        of: the experiment in full.
        environment: the settings' name.
        curves: see :func:`robustify.claims.beginnings.beginnings_of`.
    """

    of: Stored
    environment: str
    curves: pd.DataFrame
