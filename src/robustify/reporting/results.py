"""Results gathered from every net's measurements: one JSON object and the tables read from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from robustify.configuration import BASELINE, Paper
from robustify.errors import InputError
from robustify.reporting.shares import percent


def require_one_origin(
    evaluations: Mapping[str, Mapping[str, Any]],
    verifications: Mapping[str, Mapping[str, Any]],
    adversarial_set: Mapping[str, Any],
) -> None:
    """Refuse measurements of different runs side by side.

    Args:
        evaluations: what was measured of each net, by net.
        verifications: what attacks left of each net, by net; none if there are none.
        adversarial_set: provenance of the set.

    Raises:
        InputError: if a net was verified with other weights than it was evaluated with, or evaluated on another set, or the
            set was made on another baseline.
    """
    weights = {net: found["weights_sha256"] for net, found in evaluations.items()}
    stored = adversarial_set["tensors_sha256"]
    for net, found in verifications.items():
        if found["weights_sha256"] != weights[net]:
            raise InputError(
                f"{net} was evaluated and verified with different weights: what lies there is of different runs; run the whole "
                "experiment again (nets that are there are loaded, not trained)"
            )
    for net, found in evaluations.items():
        # stored by earlier versions, an evaluation doesn't say it
        if found.get("adversarial_set_sha256", stored) != stored:
            raise InputError(
                f"{net} was evaluated on another adversarial set than the one stored; run the whole experiment again (nets that are "
                "there are loaded, not trained)"
            )
    if BASELINE in weights and adversarial_set["attacked_net_sha256"] != weights[BASELINE]:
        raise InputError(
            "the adversarial set was made on another baseline than the one evaluated: what lies there is of different runs; run the "
            "whole experiment again (nets that are there are loaded, not trained)"
        )


def gather(
    *,
    experiment: str,
    seed: int,
    device: str,
    evaluations: Mapping[str, Mapping[str, Any]],
    curves: Mapping[str, pd.DataFrame],
    adversarial_set: Mapping[str, Any],
    seconds_of_attack: float,
    verifications: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the content of ``results.json``; accuracies are shares, times are seconds.

    Args:
        experiment: name of the experiment.
        seed: of the experiment.
        device: in words.
        evaluations: what was measured of each net, by net.
        curves: learning curve of each net, by net.
        adversarial_set: ``size``, ``by_norm`` and provenance of the set.
        seconds_of_attack: time to make the set.
        verifications: of each net, by net, if there are any; see :func:`robustify.verification.verify`.
    """
    nets = {}
    seconds = seconds_of_attack
    for net, evaluation in evaluations.items():
        curve = curves[net]
        seconds += float(curve["seconds"].sum()) + evaluation["seconds"]
        nets[net] = {
            **evaluation,
            "seconds_per_epoch": round(float(curve["seconds"].mean()), 2),
            **_selection(curve),
        }
        if verifications:
            nets[net]["verification"] = _without_times(verifications[net])
            seconds += verifications[net]["seconds"]
    return {
        "experiment": experiment,
        "device": device,
        "seed": seed,
        "seconds": round(seconds, 1),
        "adversarial_set": dict(adversarial_set),
        "nets": nets,
    }


def summary_table(results: Mapping[str, Any], paper: Paper) -> pd.DataFrame:
    """Return a row a net: accuracies in per cent beside the paper's own (its Tables 1 and 2).

    Args:
        results: content of ``results.json``.
        paper: what it reports.
    """
    rows = []
    for net, measured in results["nets"].items():
        reported = paper.nets.get(net)
        rows.append(
            {
                "net": net,
                "test_accuracy": percent(measured["test_accuracy"]),
                "paper_test_accuracy": percent(reported.test_accuracy if reported else None),
                "adversarial_set_accuracy": percent(measured["adversarial_set_accuracy"]),
                "paper_adversarial_set_accuracy": percent(
                    reported.adversarial_set_accuracy if reported else None
                ),
                "radius": measured["radius"],
                "seconds_per_epoch": measured["seconds_per_epoch"],
                **_flags(measured),
            }
        )
    return pd.DataFrame(rows)


def epsilon_sweep_table(results: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row a net and epsilon: ``net``, ``epsilon``, ``accuracy`` (share)."""
    return pd.DataFrame(
        [
            {"net": net, "epsilon": float(epsilon), "accuracy": accuracy, **_flags(measured)}
            for net, measured in results["nets"].items()
            for epsilon, accuracy in measured["epsilon_sweep"].items()
        ]
    )


def learning_curves_table(curves: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every net's learning curve, one row a net and epoch, with what any of them watched."""
    joined = pd.concat([curve.assign(net=net) for net, curve in curves.items()], ignore_index=True)
    first = ["net", "epoch", "loss", "test_accuracy", "seconds"]
    return joined.loc[:, first + [name for name in joined.columns if name not in first]]


def verification_table(verifications: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row a net, ball and attack, accuracies as shares, epsilons in pixel units.

    Columns: ``net``, ``norm``, ``epsilon``, ``attack``, ``images``, ``clean_accuracy``, ``accuracy``,
    ``rejected``, ``failed_gates``. A net that couldn't be attacked has one row without numbers.

    Args:
        verifications: see :func:`robustify.verification.verify`, by net.
    """
    columns = ["norm", "epsilon", "attack", "images", "clean_accuracy", "accuracy", "rejected"]
    rows = [
        {
            "net": net,
            "images": verification["images"],
            **{name: row.get(name) for name in columns if name != "images"},
            "failed_gates": _joined(verification),
        }
        for net, verification in verifications.items()
        for row in verification["measured"] or [{}]
    ]
    table = pd.DataFrame(rows, columns=["net", *columns, "failed_gates"])
    return table.astype({"rejected": "Int64"})


def _selection(curve: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return which epoch's weights held-out images chose, of how many, if they did."""
    if "kept" not in curve:
        return {}
    kept = curve.loc[curve["kept"].astype(bool), "epoch"]
    return {"selection": {"epoch": int(kept.iloc[0]), "epochs": len(curve)}}


def _flags(measured: Mapping[str, Any]) -> dict[str, str]:
    """Return the column that flags a net whose measurements aren't to be believed."""
    verification = measured.get("verification")
    return {} if verification is None else {"failed_gates": _joined(verification)}


def _without_times(verification: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verification without the times of its attacks, which differ from run to run."""
    rows = [
        {key: value for key, value in row.items() if key != "seconds"}
        for row in verification["measured"]
    ]
    return {**verification, "measured": rows}


def _joined(verification: Mapping[str, Any]) -> str:
    return " ".join(verification["failed_gates"])
