"""What the watch saw of nets while they were trained."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from robustify.claims.tables import COLUMNS, WATCHED, parse_table

_PGD = "held_out_pgd_accuracy"


def watched_nets(models: Path, stored: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return what was seen after each epoch of every net that was watched, or None if there is none.

    Args:
        models: the experiment's folder of model output, with a folder for each net.
        stored: the same of earlier nets; those that aren't in ``models`` are kept.

    Returns:
        A table with a row a net and epoch, nets in alphabetical order.

    Raises:
        InputError: naming the file, if a learning curve is no table.
    """
    curves = {path.parent.name: parse_table(path) for path in models.glob("*/learning_curve.csv")}
    watched = [curve.assign(net=net) for net, curve in curves.items() if _PGD in curve]
    if stored is not None:
        watched.append(stored[~stored["net"].isin(curves)])
    if not watched:
        return None
    seen = pd.concat(watched, ignore_index=True)[list(COLUMNS[WATCHED])]
    return seen.sort_values(["net", "epoch"], kind="stable", ignore_index=True)
