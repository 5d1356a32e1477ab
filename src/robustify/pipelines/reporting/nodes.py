"""Nodes of the reporting pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robustify.storage import Tensors


def gather_results(
    adversarial_set: Tensors,
    attack_time: dict[str, float],
    paper: dict[str, Any],
    seed: int,
    device: str,
    *measured: Any,
    experiment: str,
    nets: tuple[str, ...],
) -> tuple[Any, ...]:
    """Return ``results.json`` and the tables: summary, epsilon sweep, learning curves, verification if any.

    Args:
        adversarial_set: the stored set.
        attack_time: seconds it took.
        paper: the paper's own numbers.
        seed: of the experiment.
        device: ``auto``, ``cpu`` or ``cuda``.
        measured: every net's evaluation, then every net's learning curve, then every net's
            verification if there is any.
        experiment: its name.
        nets: names of the nets, in order.

    Raises:
        InputError: if what was measured is of different nets or sets.
    """
    from robustify.configuration import Paper
    from robustify.machine.devices import choose_device, describe
    from robustify.reporting import results

    count = len(nets)
    evaluations, curves, verifications = (
        dict(zip(nets, measured[start : start + count], strict=False))
        for start in (0, count, 2 * count)
    )
    about = adversarial_set.provenance
    results.require_one_origin(evaluations, verifications, about)
    gathered = results.gather(
        experiment=experiment,
        seed=seed,
        device=describe(choose_device(device)),
        evaluations=evaluations,
        curves=curves,
        verifications=verifications,
        adversarial_set={
            key: about[key] for key in ("size", "by_norm", "sets", "survive_rounding_to_uint8")
        },
        seconds_of_attack=attack_time["seconds"],
    )
    return (
        gathered,
        results.summary_table(gathered, Paper(**paper)),
        results.epsilon_sweep_table(gathered),
        results.learning_curves_table(curves),
        *([results.verification_table(verifications)] if verifications else []),
    )


def write_report(
    results: dict[str, Any],
    table: pd.DataFrame,
    epsilon_sweep: pd.DataFrame,
    learning_curves: pd.DataFrame,
    adversarial_set: Tensors,
    test_data: Tensors,
    settings: dict[str, Any],
) -> tuple[str, dict[str, Figure]]:
    """Return the report, one self-contained HTML page, and its figures by file name.

    Args:
        results: content of ``results.json``.
        table: see :func:`robustify.reporting.results.summary_table`.
        epsilon_sweep: see :func:`robustify.reporting.results.epsilon_sweep_table`.
        learning_curves: see :func:`robustify.reporting.results.learning_curves_table`.
        adversarial_set: the stored set.
        test_data: ``images`` and ``labels``.
        settings: the experiment's parameters.
    """
    from robustify.reporting import figures
    from robustify.reporting.gallery import sample_pairs, single_pixel_pairs
    from robustify.reporting.report import render_html
    from robustify.reporting.titles import experiment_title

    title, classes = experiment_title(settings), settings["classes"]
    drawn = {
        "accuracy_versus_epsilon.png": figures.accuracy_versus_epsilon(
            epsilon_sweep,
            {net: measured["test_accuracy"] for net, measured in results["nets"].items()},
            f"{title}: FGSM against each net's own weights",
        ),
        "accuracy_versus_epoch.png": figures.accuracy_versus_epoch(
            learning_curves, f"{title}: test accuracy after each epoch"
        ),
        "adversarial_set.png": figures.adversarial_grid(
            **sample_pairs(adversarial_set, test_data, classes),
            title=f"{title}: a sample of the adversarial set",
        ),
    }
    if "l1" in adversarial_set.provenance["norms"]:
        drawn["single_pixel_flips.png"] = figures.single_pixel_flips(
            **single_pixel_pairs(adversarial_set, test_data, classes),
            title=f"{title}: one pixel flips the answer",
        )
    return render_html(results, table, drawn, settings), drawn
