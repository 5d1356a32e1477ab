"""The report of an experiment: as text for the terminal, as one self-contained HTML page for people."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from matplotlib.figure import Figure

from robustify.comparison import attacked_columns

CAPTIONS = {
    "accuracy_versus_epsilon.png": (
        "Accuracy on the test set when every image is changed by one FGSM step of size ε "
        "against the weights of the very net that is measured."
    ),
    "accuracy_versus_epoch.png": "Test accuracy after each epoch of training.",
    "adversarial_set.png": (
        "Test images that the baseline has right, their adversarial examples that it gets wrong, "
        "and the difference, magnified. Above each image stands the class that the baseline sees."
    ),
    "single_pixel_flips.png": "Top: test images. Bottom: the circled pixel alone was changed.",
}


def render_text(results: Mapping[str, Any], table: pd.DataFrame, *, folder: str) -> str:
    """Return the table and where to look, for the end of a run."""
    stored = results["adversarial_set"]
    by_norm = ", ".join(f"{norm} {count}" for norm, count in stored["by_norm"].items())
    columns = table.rename(columns=_HEADINGS).set_index("net")
    return "\n".join(
        [
            "",
            f"{results['experiment']}: accuracy in per cent (paper's in brackets where it reports one)",
            _as_text(columns),
            f"adversarial set: {stored['size']} examples ({by_norm})",
            f"report: {folder}/report.html",
            "compare the nets: make ui",
            "",
        ]
    )


def render_comparison(experiment: str, table: pd.DataFrame, *, folder: str) -> str:
    """Return the objectives side by side and where to look, for the end of a run."""
    shown = ["net", "objective", "uncertainty_set", "test_accuracy", "adversarial_set_accuracy"]
    shown += attacked_columns(table)
    shown += ["seconds_per_epoch"]
    return "\n".join(
        [
            "",
            f"{experiment}: one net under each objective, accuracy in per cent",
            str(table[shown].to_string(index=False)),
            f"all columns: {folder}/objectives.csv",
            "",
        ]
    )


def render_html(
    results: Mapping[str, Any],
    table: pd.DataFrame,
    figures: Mapping[str, Figure],
    settings: Mapping[str, Any],
) -> str:
    """Return the report as one HTML page that needs no other file.

    Args:
        results: content of ``results.json``.
        table: see :func:`robustify.results.summary_table`.
        figures: by file name.
        settings: the experiment's parameters.
    """
    environment = Environment(
        loader=PackageLoader("robustify"), autoescape=select_autoescape(), trim_blocks=True
    )
    return environment.get_template("report.html").render(
        results=results,
        settings=settings,
        settings_json=json.dumps(settings, indent=2, ensure_ascii=False),
        rows=table.astype(object).where(table.notna(), None).to_dict("records"),
        figures=[
            {"name": name, "caption": CAPTIONS.get(name, ""), "data": _png(figure)}
            for name, figure in figures.items()
        ],
    )


_HEADINGS = {
    "test_accuracy": "test set",
    "adversarial_set_accuracy": "adversarial set",
    "seconds_per_epoch": "s / epoch",
}


def _as_text(columns: pd.DataFrame) -> str:
    shown = pd.DataFrame(index=columns.index)
    for heading, paper in (
        ("test set", "paper_test_accuracy"),
        ("adversarial set", "paper_adversarial_set_accuracy"),
    ):
        shown[heading] = [
            f"{ours:.2f}" + (f" ({theirs:.2f})" if pd.notna(theirs) else "")
            for ours, theirs in zip(columns[heading], columns[paper], strict=True)
        ]
    shown["radius"] = [f"{radius:.4g}" if radius else "–" for radius in columns["radius"]]
    shown["s / epoch"] = columns["s / epoch"]
    return str(shown.rename_axis(None).to_string())


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()
