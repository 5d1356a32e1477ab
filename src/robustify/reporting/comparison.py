"""Objectives side by side: a table and a figure over nets that differ in what they were trained to minimise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from robustify.configuration import WORST_CASE
from robustify.levels import size_label
from robustify.reporting.shares import percent

# what doesn't tell a net's objective or maximiser apart from others of the same name
_NOT_OPTIONS = ("name", "label_smoothing", "inner_mode")
_SERIES = {
    "test_accuracy": ("#222222", "o"),
    "adversarial_set_accuracy": ("#1b75bc", "s"),
}
_HEADINGS = {"test_accuracy": "test set", "adversarial_set_accuracy": "adversarial set"}
_MEASURED_AT = {"pgd": "PGD", "certified": "certified"}


def objectives_table(
    *,
    settings: Mapping[str, Mapping[str, Any]],
    evaluations: Mapping[str, Mapping[str, Any]],
    curves: Mapping[str, pd.DataFrame],
    attacks: Mapping[str, Mapping[str, Any]],
    clipping: Mapping[str, Mapping[str, float]],
    environment: str,
) -> pd.DataFrame:
    """Return a row a net: what it minimised and what that bought.

    Args:
        settings: ``objective``, ``uncertainty_set``, ``maximiser`` and training data of each net, by net.
        evaluations: see :func:`robustify.pipelines.evaluation.nodes.evaluate_net`, by net.
        curves: learning curve of each net, by net.
        attacks: see :func:`robustify.pipelines.objectives.nodes.attack_net`, by net.
        clipping: see :func:`robustify.tangents.clipping_loss`, of the nets on a tangent set whose steps are clipped.
        environment: of the run, e.g. ``base``.

    Returns:
        Accuracies in per cent, seconds an epoch, shares of what clipping changed.
    """
    rows = []
    for net, evaluation in evaluations.items():
        about, attack = settings[net], attacks[net]
        rows.append(
            {
                "net": net,
                "objective": about["objective"].get("name", WORST_CASE),
                "options": _options({**about["objective"], **about["maximiser"]}),
                "uncertainty_set": about["uncertainty_set"]["name"],
                "radius": evaluation["radius"],
                "adversarial_training_images": about["training_data"].get("adversarial_images", 0),
                "test_accuracy": percent(evaluation["test_accuracy"]),
                "adversarial_set_accuracy": percent(evaluation["adversarial_set_accuracy"]),
                **{
                    f"fgsm_{epsilon}": percent(share)
                    for epsilon, share in evaluation["epsilon_sweep"].items()
                },
                **{
                    f"pgd_{epsilon}": percent(share)
                    for epsilon, share in attack["pgd_accuracy"].items()
                },
                **{
                    f"certified_{epsilon}": percent(share)
                    for epsilon, share in attack["certified_accuracy"].items()
                },
                "pgd_images": attack["images"],
                "epochs": len(curves[net]),
                "seconds_per_epoch": round(float(curves[net]["seconds"].mean()), 2),
                **{name: round(share, 4) for name, share in clipping.get(net, {}).items()},
                "environment": environment,
                "failed_gates": ", ".join(attack["failed_gates"]),
            }
        )
    return pd.DataFrame(rows)


def objectives_figure(table: pd.DataFrame, title: str) -> Figure:
    """Draw every net's accuracies on one line each: test set, stored set, under the attack at each epsilon.

    Args:
        table: see :func:`objectives_table`.
        title: over the figure.
    """
    attacked = attacked_columns(table)
    shades = zip(attacked, _shades(len(attacked)), strict=True)
    series = {**_SERIES, **{column: (shade, "D") for column, shade in shades}}
    with matplotlib.rc_context({"font.size": 10, "savefig.dpi": 150}):
        figure = Figure(figsize=(7.2, 1.4 + 0.36 * len(table)), layout="constrained")
        axes = figure.subplots()
        places = range(len(table))
        for column, (colour, marker) in series.items():
            label = heading(column)
            axes.plot(table[column], places, marker, color=colour, label=label, ms=6, ls="none")
        axes.set(
            yticks=list(places),
            yticklabels=[_row_label(row) for row in table.to_dict("records")],
            xlabel="accuracy (%)",
            xlim=(-1, 101),
            title=title,
        )
        axes.invert_yaxis()
        axes.grid(color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=len(series), frameon=False)
    return figure


def _row_label(row: Mapping[Any, Any]) -> str:
    label = f"{row['net']} ({row['options']})" if row["options"] else str(row["net"])
    return f"{label}, flagged" if row["failed_gates"] else label


def heading(column: str) -> str:
    """Return the name of a column of these tables as people read it, e.g. ``PGD, ε = 1/255`` for ``pgd_0.00392157``."""
    kind, _, epsilon = column.partition("_")
    if kind in _MEASURED_AT and epsilon[:1].isdigit():
        return f"{_MEASURED_AT[kind]}, ε = {size_label(float(epsilon))}"
    return _HEADINGS.get(column, column.replace("_", " "))


def attacked_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of accuracy under projected gradient descent."""
    columns = [str(column) for column in table.columns]
    return [name for name in columns if name.startswith("pgd_") and name != "pgd_images"]


def _options(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in named.items() if name not in _NOT_OPTIONS)


def _shades(count: int) -> list[Any]:
    colours = matplotlib.colormaps["autumn"]
    return [colours(0.75 * i / max(count - 1, 1)) for i in range(count)]
