"""What the figures of an experiment are headed by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# the configuration that results are of unless they say otherwise
COMPLETE = "base"


def experiment_title(about: Mapping[str, Any]) -> str:
    """Return an experiment's name for people, with its settings where they aren't the default ones.

    Args:
        about: ``title`` and ``environment``, as the experiment's parameters and what is gathered of seeds have them.
    """
    title, environment = str(about["title"]), about["environment"]
    return title if environment == COMPLETE else f"{title}, conf/{environment}"
