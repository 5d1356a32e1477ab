"""Stored results, copied to stand beside the page, and what is drawn of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from robustify.claims.beginnings import beginnings_of
from robustify.claims.loading import DETAILS, PARTS, read_part
from robustify.claims.sections.figures import STRONG_ATTACKS, WATCHED_NETS
from robustify.claims.tables import (
    BEGINNING,
    DISTANCES,
    OBJECTIVES,
    READINGS,
    WATCHED,
    parse_table,
    read_table,
    require_columns,
)
from robustify.claims.watched import watched_nets
from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.fingerprint import configuration_sha256
from robustify.reporting import seed_figures
from robustify.reporting.strong_attacks import strong_attacks
from robustify.reporting.titles import COMPLETE, experiment_title
from robustify.reporting.watched_nets import watched_figure
from robustify.verified_results import key_of


def collect(data: Path, results: Path) -> None:
    """Copy what is stored in ``data`` into a folder of results, and draw what is drawn of it."""
    for folder in sorted((data / "08_reporting").glob("*/")):
        _copy_seeds(folder, results, folder.name, COMPLETE)
        for table in (OBJECTIVES, READINGS, DISTANCES):
            _copy_table(
                folder / f"{table.removeprefix('_')}.csv",
                results / f"{folder.name}{table}.csv",
                table,
            )
        for settings in sorted(folder.glob("*/")):
            _copy_seeds(settings, results, f"{folder.name}_{settings.name}", settings.name)
    for folder in sorted((data / "07_model_output").glob("*/")):
        for name, curves in beginnings_of(folder).items():
            if not (results / f"{folder.name}_{name}.json").is_file():
                write(results / f"{folder.name}_{name}{BEGINNING}.csv", curves.to_csv(index=False))
        _gather_watched(folder, results / f"{folder.name}{WATCHED}.csv")
    for path in sorted(results.glob(f"*{DETAILS}.json")):
        _draw_seeds(path, results)
        _draw_watched(path, results)


def _copy_seeds(folder: Path, results: Path, name: str, environment: str) -> None:
    across = folder / "across_seeds"
    if not (across / "summary.json").is_file() or not (across / "details.json").is_file():
        return
    summary, details = (read_part(across / f"{part}.json", keys) for part, keys in PARTS.items())
    if details["environment"] != environment:
        raise InputError(
            f"{across} is of the environment {details['environment']!r}; gather the complete experiment again: "
            f"kedro run --env={environment} --pipeline={name.removesuffix(f'_{environment}')}_seeds"
        )
    if not details.get("complete", True):
        raise InputError(
            f"{across} is of a part of the data ({details['test_images']:,} test images), which data.training_images or data.test_images ask for; "
            "gather the complete experiment, or give settings of fewer training images a folder of their own"
        )
    # details of earlier versions don't say whose they are
    of_summary = details.get("summary_sha256", configuration_sha256(summary))
    if details["seeds"] != summary["seeds"] or of_summary != configuration_sha256(summary):
        raise InputError(
            f"summary and details in {across} aren't of one gathering; gather the seeds again: "
            f"kedro run --env={environment} --pipeline={name.removesuffix(f'_{environment}')}_seeds"
        )
    write(results / f"{name}.json", _as_json(summary))
    write(results / f"{name}{DETAILS}.json", _as_json(details))
    for figure in sorted((across / "figures").glob("*.png")):
        if figure.name in _DRAWN:
            continue
        with replacing(results / f"{name}_{figure.name}") as temporary:
            shutil.copyfile(figure, temporary)


def _gather_watched(models: Path, copy: Path) -> None:
    seen = watched_nets(models, read_table(copy, WATCHED))
    if seen is not None:
        write(copy, seen.to_csv(index=False))


def _draw_watched(path: Path, results: Path) -> None:
    details, name = read_part(path, PARTS["details"]), path.stem.removesuffix(DETAILS)
    seen = read_table(results / f"{name}{WATCHED}.csv", WATCHED)
    if seen is not None:
        title = f"{experiment_title(details)}: one step against several"
        _save(watched_figure(seen, title), results / f"{name}_{WATCHED_NETS}")


def _draw_seeds(path: Path, results: Path) -> None:
    """Draw what is of all seeds from what is stored of them, so that it stays in step with the page."""
    details, name = read_part(path, PARTS["details"]), path.stem.removesuffix(DETAILS)
    for file, draw in _DRAWN.items():
        _save(draw(details), results / f"{name}_{file}")


_DRAWN = {
    "accuracy_versus_epsilon.png": seed_figures.accuracy_versus_epsilon,
    "learning_curves.png": seed_figures.learning_curves,
}


def draw_strong_attacks(entries: Sequence[Mapping[str, Any]], results: Path) -> None:
    """Draw what strong attacks left of each experiment's nets.

    Args:
        entries: see :func:`robustify.verified_results.gather`.
        results: folder of results, where an experiment's title is found and its figure put.
    """
    for path in sorted(results.glob(f"*{DETAILS}.json")):
        details, name = read_part(path, PARTS["details"]), path.stem.removesuffix(DETAILS)
        of_experiment = [entry for entry in entries if key_of(entry)[:2] == (name, "")]
        if of_experiment:
            title = f"{experiment_title(details)}: accuracy after one step and after all attacks"
            _save(strong_attacks(of_experiment, title), results / f"{name}_{STRONG_ATTACKS}")


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)


def _copy_table(path: Path, copy: Path, kind: str) -> None:
    table = parse_table(path) if path.is_file() else None
    # a table of an earlier version doesn't say what it was made with
    if table is not None and set(table.get("environment", ())) == {COMPLETE}:
        require_columns(table, path, kind)
        write(copy, path.read_text())


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write(path: Path, text: str) -> None:
    """Write the whole text or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(text)
