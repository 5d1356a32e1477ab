"""Figures over all seeds: lines are means, bands reach one standard deviation to either side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from robustify.reporting.figures import NORMS, SMALL_EPSILON, STYLE, lines_of
from robustify.reporting.titles import experiment_title

# of the training, to set the axis by: the first epochs would squeeze everything else into a line
_LATE_SHARE = 0.5
# points beyond which markers hide the line
_MANY = 30


def accuracy_versus_epsilon(details: Mapping[str, Any]) -> Figure:
    """Draw accuracy under one step against each net's own weights (Figs. 3 and 6), a panel a norm.

    Args:
        details: see :func:`robustify.across_seeds.gather`.
    """
    nets = details["nets"]
    first = next(iter(nets.values()))
    looks = lines_of(nets)
    norms = ["linf", *(norm for norm in ("l2", "l1") if norm in first["steps"])]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.4 * len(norms), 4.1), layout="constrained")
        panels = figure.subplots(1, len(norms), squeeze=False, sharey=True)[0]
        for axes, norm in zip(panels, norms, strict=True):
            levels = norm == "linf" and max(map(float, first["fgsm"])) < SMALL_EPSILON
            for net, measured in nets.items():
                sweep = measured["fgsm"] if norm == "linf" else measured["steps"][norm]
                clean = measured["clean" if norm == "linf" else "step_clean"]["values"]
                _band(
                    axes,
                    looks[net],
                    [0.0, *(float(epsilon) * (255 if levels else 1) for epsilon in sweep)],
                    [clean, *(accuracy["values"] for accuracy in sweep.values())],
                )
            axes.set(
                xlabel="radius, " + ("in levels of 255" if levels else "on the [0, 1] scale"),
                ylim=(0, 101),
            )
            axes.set_title(f"one {NORMS[norm]} step{_images(first, norm, details)}", fontsize=10)
            axes.set_xlim(left=0)
        panels[0].set_ylabel("accuracy on the attacked test set (%)")
        _legend(figure, panels[0])
        figure.suptitle(
            f"{experiment_title(details)}: one step against each net's own weights{_of(details)}"
        )
    return figure


def learning_curves(details: Mapping[str, Any]) -> Figure:
    """Draw test accuracy after each epoch, against epochs (Fig. 5) and against seconds of training.

    Args:
        details: see :func:`robustify.across_seeds.gather`.
    """
    nets = details["nets"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.3), layout="constrained")
        by_epoch, by_second = figure.subplots(1, 2, sharey=True)
        looks = lines_of(nets)
        for net, measured in nets.items():
            accuracies = _side_by_side(measured["curves"]["test_accuracy"]).T
            epochs = np.arange(1, len(accuracies) + 1)
            # other work on the machine stretches single epochs severalfold
            seconds = np.nanmedian(_side_by_side(measured["curves"]["seconds"]))
            _band(by_epoch, looks[net], epochs, accuracies)
            _band(by_second, looks[net], epochs * seconds, accuracies)
        by_epoch.set(xlabel="epoch", ylabel="test accuracy (%)", ylim=_limits(nets.values()))
        by_epoch.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        by_second.set(xlabel="seconds of training (epochs × the net's median one)")
        by_second.set_xlim(left=0)
        _legend(figure, by_epoch)
        figure.suptitle(
            f"{experiment_title(details)}: test accuracy after each epoch{_of(details)}"
        )
    return figure


def _band(
    axes: Axes,
    style: Mapping[str, Any],
    places: Iterable[float],
    accuracies: Iterable[Iterable[float]],
) -> None:
    """Draw one net: at each place the mean over seeds, in per cent, and its standard deviation; NaN is no value."""
    shares = 100 * np.asarray([list(of_seeds) for of_seeds in accuracies], dtype=float)
    positions, mean = list(places), np.nanmean(shares, axis=1)
    dense = len(positions) > _MANY
    axes.plot(
        positions,
        mean,
        **{**style, "ms": 3, **({"marker": "", "lw": 1} if dense else {})},
    )
    if shares.shape[1] > 1:
        several = (~np.isnan(shares)).sum(axis=1) > 1
        deviation = np.zeros(len(shares))
        deviation[several] = np.nanstd(shares[several], axis=1, ddof=1)
        axes.fill_between(
            positions, mean - deviation, mean + deviation, color=style["color"], alpha=0.18, lw=0
        )


def _side_by_side(curves: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
    """Return one row a seed, as long as the longest; a training that ended earlier has NaN from there on."""
    longest = max(map(len, curves))
    return np.array([[*curve, *[np.nan] * (longest - len(curve))] for curve in curves])


def _limits(nets: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    curves = [100 * _side_by_side(measured["curves"]["test_accuracy"]) for measured in nets]
    # two epochs at least, for one alone is no line
    late = [curve[:, -max(ceil(_LATE_SHARE * curve.shape[1]), 2) :] for curve in curves]
    top, lowest = max(map(np.nanmax, curves)), min(map(np.nanmin, late))
    margin = max(0.15 * (top - lowest), 0.05)
    return max(lowest - 2 * margin, 0.0), min(top + margin, 100.5)


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
    )


def _images(net: Mapping[str, Any], norm: str, details: Mapping[str, Any]) -> str:
    """Return how many images the panel is of, where it isn't all."""
    measured = details["test_images"] if norm == "linf" else net["step_images"]
    return "" if measured == details["test_images"] else f", first {measured:,} test images"


def _of(details: Mapping[str, Any]) -> str:
    seeds = details["seeds"]
    if len(seeds) == 1:
        return f" (seed {seeds[0]})"
    return f" (mean ± standard deviation of {len(seeds)} seeds)"
