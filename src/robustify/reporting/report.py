"""The pages of an experiment, for people: its report and its full verification, each one HTML file."""

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
from robustify.reporting.statements import (
    attack_columns,
    attack_label,
    attack_rows,
    statement,
    verifications_in,
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
    verifications = verifications_in(results)
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


def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("robustify.reporting"),
        autoescape=select_autoescape(),
        trim_blocks=True,
    )
    environment.filters["size"] = size_label
    return environment.get_template(name)


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


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode()
