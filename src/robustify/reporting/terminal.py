"""What a run prints at its end: tables of text, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustify.levels import size_label
from robustify.reporting.comparison import attacked_columns
from robustify.reporting.statements import statement, verifications_in, warning


def experiment_text(results: Mapping[str, Any], table: pd.DataFrame, *, folder: str) -> str:
    """Return an experiment's table, what its verification found, and where the report lies.

    Args:
        results: content of ``results.json``.
        table: see :func:`robustify.reporting.results.summary_table`.
        folder: of the report.
    """
    stored = results["adversarial_set"]
    by_norm = ", ".join(f"{norm} {count}" for norm, count in stored["by_norm"].items())
    return _framed(
        f"{results['experiment']}: accuracy in per cent (paper's in brackets where it reports one)",
        _beside_the_paper(table.set_index("net")),
        f"adversarial set: {stored['size']} examples ({by_norm})",
        *_survived(verifications_in(results)),
        f"report: {folder}/report.html",
        "compare the nets: make ui",
    )


def objectives_text(experiment: str, table: pd.DataFrame, *, folder: str) -> str:
    """Return the objectives side by side.

    Args:
        experiment: its name.
        table: see :func:`robustify.reporting.comparison.objectives_table`.
        folder: of the table.
    """
    shown = ["net", "objective", "uncertainty_set", "test_accuracy", "adversarial_set_accuracy"]
    return _framed(
        f"{experiment}: one net under each objective, accuracy in per cent",
        _marked(table)[[*shown, *attacked_columns(table), "seconds_per_epoch"]].to_string(
            index=False
        ),
        f"all columns: {folder}/objectives.csv",
    )


def readings_text(experiment: str, table: pd.DataFrame, *, folder: str) -> str:
    """Return the readings of Eq. 11 side by side.

    Args:
        experiment: its name.
        table: see :func:`robustify.reporting.readings.readings_table`.
        folder: of the table.
    """
    shown = ["net", "step", "set_size", "test_accuracy", "adversarial_set_accuracy"]
    return _framed(
        f"{experiment}: the readings of Eq. 11, accuracy in per cent",
        _marked(table)[[*shown, *attacked_columns(table)]].to_string(index=False),
        f"all columns: {folder}/readings.csv",
    )


def distances_text(experiment: str, table: pd.DataFrame, *, folder: str) -> str:
    """Return the nets' smallest perturbations side by side.

    Args:
        experiment: its name.
        table: see :func:`robustify.reporting.distances.distances_table`.
        folder: of the figures.
    """
    return _framed(
        f"{experiment}: Szegedy's attack (Eq. 1), shares in per cent, l2 norms on the [0, 1] scale",
        table.drop(columns="environment").to_string(index=False),
        f"figures: {folder}/smallest_perturbations",
    )


def across_seeds_text(experiment: str, summary: Mapping[str, Any], *, folder: str) -> str:
    """Return means and deviations over seeds.

    Args:
        experiment: its name.
        summary: see :func:`robustify.across_seeds.summarise`.
        folder: of the summary.
    """
    columns = {"test_accuracy": "test set", "adversarial_set_accuracy": "adversarial set"}
    table = pd.DataFrame(
        {
            heading: [spread_in_per_cent(net[key]) for net in summary["nets"].values()]
            for key, heading in columns.items()
        },
        index=list(summary["nets"]),
    )
    return _framed(
        f"{experiment}: accuracy in per cent, mean ± standard deviation of seeds {', '.join(map(str, summary['seeds']))}",
        table.to_string(),
        f"tests: {folder}/across_seeds/summary.json",
        "the page of claims: python -m robustify.claims",
    )


def verification_text(verifications: Mapping[str, Mapping[str, Any]], *, folder: str) -> str:
    """Return what survived of each net, a line a net.

    Args:
        verifications: see :func:`robustify.verification.verify`, by net.
        folder: of the page.
    """
    return _framed(*_survived(verifications), f"page: {folder}/full_verification.html")


def spread_in_per_cent(measured: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of shares in per cent, without a deviation where there is none.

    Args:
        measured: ``mean`` and ``std``.
    """
    mean = f"{100 * measured['mean']:.2f}"
    return mean if measured["std"] is None else f"{mean} ± {100 * measured['std']:.2f}"


def _framed(*lines: str) -> str:
    return "\n".join(["", *lines, ""])


def _survived(verifications: Mapping[str, Mapping[str, Any]]) -> list[str]:
    survived = [f"{net}: {statement(found)}" for net, found in verifications.items()]
    flagged = [
        f"{net} is FLAGGED, not to be believed: {warning(found)}"
        for net, found in verifications.items()
        if found["failed_gates"]
    ]
    return survived + flagged


def _marked(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the nets that failed a sanity gate marked."""
    marks = table["failed_gates"].fillna("").map(lambda failed: " (FLAGGED)" if failed else "")
    return table.assign(net=table["net"] + marks)


def _beside_the_paper(table: pd.DataFrame) -> str:
    shown = pd.DataFrame(index=table.index)
    for heading, ours, theirs in (
        ("test set", "test_accuracy", "paper_test_accuracy"),
        ("adversarial set", "adversarial_set_accuracy", "paper_adversarial_set_accuracy"),
    ):
        shown[heading] = [
            f"{mine:.2f}" + (f" ({reported:.2f})" if pd.notna(reported) else "")
            for mine, reported in zip(table[ours], table[theirs], strict=True)
        ]
    shown["radius"] = [size_label(radius) if radius else "–" for radius in table["radius"]]
    shown["s / epoch"] = table["seconds_per_epoch"]
    if "failed_gates" in table:
        failed = table["failed_gates"].fillna("").astype(bool)
        shown.index = [f"{net} (FLAGGED)" if failed[net] else net for net in shown.index]
    return str(shown.rename_axis(None).to_string())
