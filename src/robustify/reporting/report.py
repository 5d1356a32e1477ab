"""The report of an experiment: as text for the terminal, as one self-contained HTML page for people."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, Template, select_autoescape
from matplotlib.figure import Figure

from robustify.ingestion.specification import specification_of
from robustify.levels import size_label
from robustify.reporting.comparison import attacked_columns
from robustify.reporting.statements import (
    attack_columns,
    attack_label,
    attack_rows,
    statement,
    warning,
)

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
    verifications = _verifications(results)
    return "\n".join(
        [
            "",
            f"{results['experiment']}: accuracy in per cent (paper's in brackets where it reports one)",
            _as_text(columns),
            f"adversarial set: {stored['size']} examples ({by_norm})",
            *_lines(verifications),
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
            _marked(table)[shown].to_string(index=False),
            f"all columns: {folder}/objectives.csv",
            "",
        ]
    )


def render_distances(experiment: str, table: pd.DataFrame, *, folder: str) -> str:
    """Return the nets' smallest perturbations side by side and where to look, for the end of a run."""
    return "\n".join(
        [
            "",
            f"{experiment}: Szegedy's attack (Eq. 1), shares in per cent, l2 norms on the [0, 1] scale",
            table.drop(columns="environment").to_string(index=False),
            f"figures: {folder}/smallest_perturbations",
            "",
        ]
    )


def _marked(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the nets that failed a sanity gate marked."""
    marks = table["failed_gates"].fillna("").map(lambda failed: " (FLAGGED)" if failed else "")
    return table.assign(net=table["net"] + marks)


def render_readings(experiment: str, table: pd.DataFrame, *, folder: str) -> str:
    """Return the readings of Eq. 11 side by side and where to look, for the end of a run."""
    shown = ["net", "step", "set_size", "test_accuracy", "adversarial_set_accuracy"]
    shown += attacked_columns(table)
    return "\n".join(
        [
            "",
            f"{experiment}: the readings of Eq. 11, accuracy in per cent",
            _marked(table)[shown].to_string(index=False),
            f"all columns: {folder}/readings.csv",
            "",
        ]
    )


def render_across_seeds(experiment: str, summary: Mapping[str, Any], *, folder: str) -> str:
    """Return means and deviations over seeds and where to look, for the end of a run."""
    seeds = ", ".join(map(str, summary["seeds"]))
    columns = {"test_accuracy": "test set", "adversarial_set_accuracy": "adversarial set"}
    table = pd.DataFrame(
        {
            heading: [spread_in_per_cent(net[key]) for net in summary["nets"].values()]
            for key, heading in columns.items()
        },
        index=list(summary["nets"]),
    )
    return "\n".join(
        [
            "",
            f"{experiment}: accuracy in per cent, mean ± standard deviation of seeds {seeds}",
            str(table.to_string()),
            f"tests: {folder}/across_seeds/summary.json",
            "the page of claims: python -m robustify.claims",
            "",
        ]
    )


def spread_in_per_cent(measured: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of shares in per cent, without a deviation where there is none."""
    mean = f"{100 * measured['mean']:.2f}"
    return mean if measured["std"] is None else f"{mean} ± {100 * measured['std']:.2f}"


def render_html(
    results: Mapping[str, Any],
    table: pd.DataFrame,
    figures: Mapping[str, Figure],
    settings: Mapping[str, Any],
) -> str:
    """Return the report as one HTML page that needs no other file.

    Args:
        results: content of ``results.json``.
        table: see :func:`robustify.reporting.results.summary_table`.
        figures: by file name.
        settings: the experiment's parameters.
    """
    verifications = _verifications(results)
    return _template("report.html").render(
        results=results,
        section=_section(verifications) if verifications else None,
        selections={
            net: measured["selection"]
            for net, measured in results["nets"].items()
            if "selection" in measured
        },
        data=_data(settings),
        settings=settings,
        settings_json=json.dumps(settings, indent=2, ensure_ascii=False),
        rows=table.astype(object).where(table.notna(), None).to_dict("records"),
        figures=_embedded(figures),
    )


def _data(settings: Mapping[str, Any]) -> str:
    """Return how much of the data set is trained and measured on, in words."""
    specification = specification_of(settings["data"]["name"])
    parts = {
        "training": (settings["data"].get("training_images"), specification.train_class_counts),
        "test": (settings["data"].get("test_images"), specification.test_class_counts),
    }
    return ", ".join(
        f"{asked:,} of {sum(counts):,} {part} images"
        if asked
        else f"all {sum(counts):,} {part} images"
        for part, (asked, counts) in parts.items()
    )


def render_verification_text(verifications: Mapping[str, Mapping[str, Any]], *, folder: str) -> str:
    """Return a line a net and where to look, for the end of a run.

    Args:
        verifications: see :func:`robustify.verification.verify`, by net.
        folder: where the page lies.
    """
    return "\n".join(["", *_lines(verifications), f"page: {folder}/full_verification.html", ""])


def render_verification(
    verifications: Mapping[str, Mapping[str, Any]],
    figures: Mapping[str, Figure],
    settings: Mapping[str, Any],
) -> str:
    """Return the page of a full verification, one HTML page that needs no other file.

    Args:
        verifications: see :func:`robustify.verification.verify`, by net.
        figures: by file name.
        settings: the experiment's parameters.
    """
    return _template("full_verification.html").render(
        section=_section(verifications),
        gates={net: found["gates"] for net, found in verifications.items()},
        seconds=sum(found["seconds"] for found in verifications.values()),
        settings=settings,
        settings_json=json.dumps(settings, indent=2, ensure_ascii=False),
        figures=_embedded(figures),
    )


def _lines(verifications: Mapping[str, Mapping[str, Any]]) -> list[str]:
    survived = [f"{net}: {statement(found)}" for net, found in verifications.items()]
    flagged = [
        f"{net} is FLAGGED, not to be believed: {warning(found)}"
        for net, found in verifications.items()
        if found["failed_gates"]
    ]
    return survived + flagged


def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("robustify.reporting"),
        autoescape=select_autoescape(),
        trim_blocks=True,
    )
    environment.filters["size"] = size_label
    return environment.get_template(name)


def _verifications(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        net: measured["verification"]
        for net, measured in results["nets"].items()
        if "verification" in measured
    }


def _section(verifications: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    attacks = attack_columns(verifications)
    return {
        "statements": {net: statement(found) for net, found in verifications.items()},
        "warnings": {net: warning(found) for net, found in verifications.items()},
        "attacks": attacks,
        "labels": [attack_label(name) for name in attacks],
        "rows": attack_rows(verifications),
        "images": f"{max(found['images'] for found in verifications.values()):,}",
        "gates": max(len(_gates(found)) for found in verifications.values()),
        "failed": any(found["failed_gates"] for found in verifications.values()),
    }


def _gates(verification: Mapping[str, Any]) -> set[str]:
    return {verdict["gate"] for verdict in verification["gates"]}


def _embedded(figures: Mapping[str, Figure]) -> list[dict[str, str]]:
    return [
        {"name": name, "caption": _caption(name), "data": _png(figure)}
        for name, figure in figures.items()
    ]


def _caption(name: str) -> str:
    if name.startswith("accuracy_versus_epsilon_"):
        return (
            "Accuracy by the size of the ball, one panel an attack; at ε = 0 nothing is attacked."
        )
    return CAPTIONS.get(name, "")


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
    shown["radius"] = [size_label(radius) if radius else "–" for radius in columns["radius"]]
    shown["s / epoch"] = columns["s / epoch"]
    if "failed_gates" in columns:
        failed = columns["failed_gates"].fillna("").astype(bool)
        shown.index = [f"{net} (FLAGGED)" if failed[net] else net for net in shown.index]
    return str(shown.rename_axis(None).to_string())


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()
