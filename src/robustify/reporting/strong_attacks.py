"""What strong attacks leave of each net, and how much a single step flatters it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from robustify.reporting.figures import NORMS, SMALL_EPSILON, STYLE, lines_of, plain

_MEASURED = ("clean_accuracy", "fgsm_accuracy", "all_attacks_accuracy", "autoattack_accuracy")
_STAR: dict[str, Any] = {"marker": "*", "ms": 12, "ls": "", "mec": "white"}
_ONE_STEP: dict[str, Any] = {"ls": (0, (1, 2)), "marker": "", "lw": 1.2, "alpha": 0.8}


def strong_attacks(entries: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw accuracy versus ε, a panel a norm, a colour a net: after one step dotted, what outlasted every attack solid.

    A star stands where the standard AutoAttack was among the attacks, and of a net that was attacked in a single ball no line is drawn.

    Args:
        entries: of one experiment, one or more, see :func:`robustify.verified_results.gather`.
        title: over the figure.
    """
    rows = pd.DataFrame(entries, columns=["net", "norm", "epsilon", *_MEASURED])
    rows = rows.astype(dict.fromkeys(_MEASURED, float))
    # AutoAttack ends at what is left of all its parts, and entries may hold nothing else
    rows["all_attacks_accuracy"] = rows["all_attacks_accuracy"].fillna(rows["autoattack_accuracy"])
    norms = [norm for norm in NORMS if norm in set(rows["norm"])]
    looks = lines_of(rows["net"])
    balls = rows["net"].value_counts()
    # between the clean images and a single ball nothing was measured that a line could stand for
    looks |= {net: {**looks[net], "ls": ""} for net in looks if balls[net] == 1}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.4 * len(norms), 4.3), layout="constrained")
        panels = figure.subplots(1, len(norms), squeeze=False, sharey=True)[0]
        for axes, norm in zip(panels, norms, strict=True):
            _panel(axes, norm, rows[rows["norm"] == norm], looks)
        panels[0].set_ylabel("accuracy (%)")
        figure.legend(handles=_legend(looks), loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(plain(title))
    return figure


def _panel(
    axes: Axes, norm: str, rows: pd.DataFrame, looks: Mapping[str, Mapping[str, Any]]
) -> None:
    levels = norm == "linf" and float(rows["epsilon"].max()) < SMALL_EPSILON
    for net, points in rows.groupby("net", sort=False):
        points = points.sort_values("epsilon")
        epsilons = points["epsilon"] * (255 if levels else 1)
        look = {**looks[str(net)], "ms": 4}
        places, clean = [0.0, *epsilons], points["clean_accuracy"].iloc[0]
        if look["ls"]:
            one_step = [100 * share for share in (clean, *points["fgsm_accuracy"])]
            axes.plot(places, one_step, **{**look, **_ONE_STEP})
        left = [100 * share for share in (clean, *points["all_attacks_accuracy"])]
        axes.plot(places, left, markevery=slice(None if look["ls"] else 1, None), **look)
        in_full = points["autoattack_accuracy"].notna()
        axes.plot(
            epsilons[in_full],
            100 * points["all_attacks_accuracy"][in_full],
            **{**look, **_STAR},
        )
    axes.set(
        xlabel="ε, " + ("in levels of 255" if levels else "on the [0, 1] scale"),
        ylim=(-1, 101),
        title=f"{NORMS[norm]} balls",
    )
    axes.set_xlim(left=0)


def _legend(looks: Mapping[str, Mapping[str, Any]]) -> list[Line2D]:
    grey = "#555555"
    return [
        *(Line2D([], [], **{**look, "ms": 4}) for look in looks.values()),
        Line2D([], [], color=grey, label="after one step", **_ONE_STEP),
        Line2D([], [], color=grey, label="after all attacks", lw=1.8),
        Line2D([], [], color=grey, label="AutoAttack among them", **_STAR),
    ]
