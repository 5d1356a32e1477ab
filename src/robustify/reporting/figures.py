"""Figures: one function each, data in, figure out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from robustify.configuration import ALL_ATTACKS
from robustify.reporting.statements import attack_label

Array = npt.NDArray[Any]

NET_COLOURS = {
    "baseline": "#222222",
    "control": "#8c8c8c",
    "l1": "#d95f02",
    "l2": "#1b75bc",
    "linf": "#159a6c",
}
NET_LABELS = {
    "baseline": "baseline",
    "control": "control (baseline, other seed)",
    "l1": "robust $\\ell_1$",
    "l2": "robust $\\ell_2$",
    "linf": "robust $\\ell_\\infty$",
}
# in the order of panels
NORMS = {"linf": "$\\ell_\\infty$", "l2": "$\\ell_2$", "l1": "$\\ell_1$"}
# below it, radii are customarily counted in levels of 8-bit images
SMALL_EPSILON = 0.1
_ATTACKS_A_LINE = 3
# without colours some lines would look alike
_MARKERS = {"baseline": "o", "control": "s", "l1": "^", "l2": "D", "linf": "v"}
_MORE_MARKERS = ("P", "X", "<", ">")
_MORE_COLOURS = ("#7b3fa0", "#c2185b", "#a67c00", "#00838f")
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "savefig.dpi": 150,
    "figure.dpi": 150,
}


def accuracy_versus_epsilon(sweep: pd.DataFrame, clean: Mapping[str, float], title: str) -> Figure:
    """Draw accuracy under FGSM against each net's own weights (the paper's Figs. 3 and 6).

    Args:
        sweep: one row a net and epsilon: ``net``, ``epsilon`` (pixel units), ``accuracy`` (share).
        clean: accuracy of each net at epsilon 0 (share), by net.
        title: over the figure.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _canvas(6.4, 4.2)
        levels = float(sweep["epsilon"].max()) < SMALL_EPSILON
        looks = lines_of(sweep["net"])
        for net, rows in sweep.groupby("net", sort=False):
            rows = rows.sort_values("epsilon")
            epsilon = [0, *rows["epsilon"] * (255 if levels else 1)]
            accuracy = [100 * clean[str(net)], *100 * rows["accuracy"]]
            axes.plot(epsilon, accuracy, ms=4, **looks[str(net)])
        axes.set(
            xlabel="ε: largest change of a pixel, "
            + ("in levels of 255" if levels else "on the [0, 1] scale"),
            ylabel="accuracy on the attacked test set (%)",
            title=plain(title),
            ylim=(0, 101),
        )
        axes.set_xlim(left=0)
        axes.legend(frameon=False)
    return figure


def accuracy_under_attacks(rows: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy versus epsilon in one norm, a panel an attack, a line a net; what outlasts all attacks comes last.

    Args:
        rows: one row a net, epsilon and attack: ``net``, ``norm``, ``epsilon`` (pixel units), ``attack``,
            ``clean_accuracy`` and ``accuracy`` (shares).
        title: over the figure.
    """
    attacks = sorted(dict.fromkeys(rows["attack"]), key=ALL_ATTACKS.__eq__)
    columns = min(len(attacks), _ATTACKS_A_LINE)
    levels = set(rows["norm"]) == {"linf"} and float(rows["epsilon"].max()) < SMALL_EPSILON
    lines = math.ceil(len(attacks) / columns)
    looks = lines_of(rows["net"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(3.1 * columns, 6.4), 2.7 * lines + 0.9), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        panels = grid.ravel()[: len(attacks)]
        for axes in grid.ravel()[len(attacks) :]:
            axes.remove()
        for axes, attack in zip(panels, attacks, strict=True):
            for net, points in rows[rows["attack"] == attack].groupby("net", sort=False):
                points = points.sort_values("epsilon")
                epsilons = [0.0, *points["epsilon"] * (255 if levels else 1)]
                shares = [points["clean_accuracy"].iloc[0], *points["accuracy"]]
                percent = [100 * share for share in shares]
                axes.plot(epsilons, percent, ms=3, **looks[str(net)])
            axes.set(ylim=(0, 101))
            axes.set_title(attack_label(attack), fontsize=10)
            axes.set_xlim(left=0)
        for axes in panels[-columns:]:
            axes.set_xlabel("ε in levels of 255" if levels else "ε on the [0, 1] scale")
            axes.tick_params(labelbottom=True)
        for axes in grid[:, 0]:
            axes.set_ylabel("accuracy (%)")
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=5,
            frameon=False,
        )
        figure.suptitle(plain(title))
    return figure


def accuracy_versus_epoch(curves: pd.DataFrame, title: str) -> Figure:
    """Draw test accuracy after each epoch (the paper's Fig. 5).

    Args:
        curves: one row a net and epoch: ``net``, ``epoch``, ``test_accuracy`` (share).
        title: over the figure.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _canvas(6.4, 4.2)
        looks = lines_of(curves["net"])
        for net, rows in curves.groupby("net", sort=False):
            axes.plot(rows["epoch"], 100 * rows["test_accuracy"], ms=4, **looks[str(net)])
        # the first epochs would squeeze everything else into a line
        lowest = 100 * float(curves.groupby("net")["test_accuracy"].median().min())
        top = 100 * float(curves["test_accuracy"].max())
        margin = max(2 * (top - lowest), 0.5)
        axes.set(
            xlabel="epoch",
            ylabel="test accuracy (%)",
            title=plain(title),
            ylim=(max(top - margin, 0), min(top + 0.1 * margin, 100)),
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(frameon=False, loc="lower right")
    return figure


def adversarial_grid(
    clean: Array,
    adversarial: Array,
    before: Sequence[str],
    after: Sequence[str],
    norms: Sequence[str],
    title: str,
) -> Figure:
    """Draw clean images over their adversarial examples over the difference, magnified (Figs. 2 and 4).

    Args:
        clean: in [0, 1], shape (N, C, H, W).
        adversarial: shape (N, C, H, W); what lies outside [0, 1] is shown as black or white.
        before: the net's class of each clean image.
        after: the net's class of each adversarial example.
        norms: uncertainty set of each example.
        title: over the figure.
    """
    difference = adversarial - clean
    peak = np.abs(difference).max(axis=(1, 2, 3), keepdims=True).clip(min=1e-12)
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.15 * len(clean), 4.9), layout="constrained")
        rows = figure.subplots(3, len(clean), squeeze=False)
        for i, (top, middle, bottom) in enumerate(rows.T):
            _show(top, clean[i], plain(before[i]))
            _show(middle, adversarial[i], plain(after[i]), colour="#c0392b")
            _show(bottom, 0.5 + 0.5 * difference[i] / peak[i], f"{_set_label(norms[i])}")
            bottom.set_xlabel(f"×{1 / peak[i].item():.3g}", fontsize=8, color="#666666")
        for axes, label in zip(
            rows[:, 0], ("test image", "adversarial", "difference,\nmagnified"), strict=True
        ):
            axes.set_ylabel(label)
        figure.suptitle(plain(title))
    return figure


def single_pixel_flips(
    clean: Array, adversarial: Array, before: Sequence[str], after: Sequence[str], title: str
) -> Figure:
    """Draw pairs in which one circled pixel flips the answer (the paper's Fig. 1).

    Args:
        clean: in [0, 1], shape (N, C, H, W).
        adversarial: the same images with one pixel changed, shape (N, C, H, W).
        before: the net's class of each clean image.
        after: the net's class of each adversarial example.
        title: over the figure.
    """
    with matplotlib.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(1.3 * max(len(clean), 3), 3.4), layout="constrained")
        if len(clean) == 0:
            figure.text(0.5, 0.4, "no single-pixel flip in this set", ha="center")
        else:
            panels = figure.subplots(2, len(clean), squeeze=False)
            for axes, row_label in zip(
                panels[:, 0], ("original", "one pixel changed"), strict=True
            ):
                axes.set_ylabel(row_label, fontsize=9)
            for i, (top, bottom) in enumerate(panels.T):
                _show(top, clean[i], plain(before[i]))
                _show(bottom, adversarial[i], plain(after[i]), colour="#c0392b")
                change = np.abs(adversarial[i] - clean[i]).max(axis=0)
                row, column = np.unravel_index(int(change.argmax()), change.shape)
                bottom.add_patch(
                    Circle((float(column), float(row)), 2.2, fill=False, color="#ff3b30", lw=1.6)
                )
        # it holds the count of flips, too, and would be wider than the figure at the usual size
        figure.suptitle(plain(title), fontsize=10)
    return figure


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def plain(text: str) -> str:
    """Return text so that Matplotlib shows it as it is: dollars would begin a formula."""
    return text.replace("$", r"\$")


def lines_of(nets: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return how each net's line looks in a figure of these nets, as keyword arguments of ``plot``, by net."""
    listed = list(dict.fromkeys(nets))
    others = [net for net in listed if net not in NET_COLOURS]
    count = len(_MORE_COLOURS)
    # of four neighbours no two share colour or marker, of sixteen none both
    looks = {
        net: (_MORE_MARKERS[(i + i // count) % count], _MORE_COLOURS[i % count])
        for i, net in enumerate(others)
    }
    looks |= {net: (_MARKERS[net], colour) for net, colour in NET_COLOURS.items()}
    return {
        net: {
            "color": looks[net][1],
            "marker": looks[net][0],
            "label": NET_LABELS.get(net, net),
            "lw": 1.8,
            "ls": "--" if net == "control" else "-",
        }
        for net in listed
    }


def _set_label(name: str) -> str:
    return NORMS.get(name, name)


def _show(axes: Axes, image: Array, caption: str, *, colour: str = "#222222") -> None:
    picture = image.transpose(1, 2, 0).clip(0, 1)
    axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(caption, fontsize=9, color=colour)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
