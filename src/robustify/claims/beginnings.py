"""First epochs of settings that are too long to be run in full where the page is made."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from robustify.claims.tables import parse_table

SEED_FOLDER = "seed_"


def beginnings_of(models: Path) -> dict[str, pd.DataFrame]:
    """Return the learning curves under each of an experiment's other settings, by the settings' name.

    Args:
        models: the experiment's folder of model output; settings with a folder of their own have one in it, with a
            folder for each net that was begun.

    Returns:
        Tables with a row a net and epoch: ``net`` and the columns of the learning curve.

    Raises:
        InputError: naming the file, if one is no table.
    """
    curves = {
        settings.name: {
            path.parent.name: parse_table(path)
            for path in sorted(settings.glob("*/learning_curve.csv"))
        }
        for settings in sorted(models.glob("*/"))
        if not settings.name.startswith(SEED_FOLDER)
    }
    return {
        settings: pd.concat(
            [curve.assign(net=net) for net, curve in nets.items()], ignore_index=True
        )[["net", *next(iter(nets.values())).columns]]
        for settings, nets in curves.items()
        if nets
    }
