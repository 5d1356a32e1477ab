"""What one step and several leave of held-out images after each epoch of a training."""

from __future__ import annotations

from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from robustify.reporting.figures import STYLE, plain

_LINES: dict[str, dict[str, Any]] = {
    "held_out_accuracy": {"label": "no attack", "color": "#8c8c8c", "ls": "--", "lw": 1.5},
    "held_out_fgsm_accuracy": {
        "label": "one step",
        "color": "#d95f02",
        "ls": (0, (1, 2)),
        "lw": 1.8,
    },
    "held_out_pgd_accuracy": {"label": "several steps (PGD)", "color": "#1b75bc", "lw": 1.8},
}
_KEPT: dict[str, Any] = {"marker": "o", "ms": 7, "ls": "", "mfc": "white", "mec": "#222222"}


def watched_figure(seen: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy on held-out images after each epoch, a panel a net: without attack, after one step, after several.

    Args:
        seen: a row a net and epoch: ``net``, ``epoch``, ``kept`` and the three accuracies (shares).
        title: over the figure.
    """
    nets = list(dict.fromkeys(seen["net"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 4.2 * len(nets), 3.9), layout="constrained")
        panels = figure.subplots(1, len(nets), squeeze=False, sharey=True)[0]
        for axes, net in zip(panels, nets, strict=True):
            _panel(axes, str(net), seen[seen["net"] == net])
        panels[0].set_ylabel("accuracy on held-out images (%)")
        handles = [Line2D([], [], **look) for look in _LINES.values()]
        handles.append(Line2D([], [], label="the epoch that is kept", **_KEPT))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(plain(title))
    return figure


def _panel(axes: Axes, net: str, rows: pd.DataFrame) -> None:
    for column, look in _LINES.items():
        axes.plot(rows["epoch"], 100 * rows[column], **look)
    kept = rows[rows["kept"].astype(bool)]
    axes.plot(kept["epoch"], 100 * kept["held_out_pgd_accuracy"], **_KEPT)
    axes.set(title=plain(net), xlabel="epoch", ylim=(-2, 101))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
