"""What single sections say of what is stored."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pandas as pd

from robustify.claims.__main__ import make_page
from robustify.claims.sections import survival
from robustify.claims.sections.readings import conclusions
from robustify.claims.stored import Stored
from robustify.significance import over_seeds
from robustify.verification.gates import EDITION

from .stored import NETS, cell, lose, store


def test_curves_against_seconds_that_are_not_the_nets_say_so(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    assert "Seconds are not" not in make_page(data, docs).read_text()
    # a figure shows every net, those without a claim, too
    details["nets"]["l2"]["curves"]["seconds"] = [[20.0] * 5 + [40.0] * 5]
    store(data, "mnist", summary, details)
    doubt = (
        "Seconds are not to be relied on: a quarter of l2's epochs took less than 20.0 s, a quarter more than 40.0 s, "
        "as other work on the machine would have it."
    )
    assert f"earlier epochs may lie below. {doubt}\n" in make_page(data, docs).read_text()


def test_transfer_says_how_good_the_nets_are(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    (transfer,) = details["transfers"]
    transfer["architectures"]["linf"] = "fully_connected"
    transfer["accuracy"] = {**dict.fromkeys(NETS, 0.9), "linf": 0.4}
    store(tmp_path / "data", "mnist", summary, details)
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert (
        "l2 mnist_convnet (90.0 % of these images right), linf fully_connected (40.0 % of" in page
    )


def test_transfer_is_shown_as_means_over_seeds(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    (transfer,) = details["transfers"]
    transfer["architectures"]["linf"] = "fully_connected"
    transfer["accuracy"] = dict.fromkeys(NETS, 0.9)
    transfer["net_sha256"] = {net: f"{net} 0" for net in NETS}
    again = copy.deepcopy(transfer) | {"seed": 1, "accuracy": dict.fromkeys(NETS, 0.8)}
    again["net_sha256"] = {**dict.fromkeys(NETS, "another"), "linf": "linf 0"}
    fooled = {"baseline": 28, "control": 35, "linf": 7}
    again["matrix"]["l2"]["l2"] = {net: cell(70, count, 0.0) for net, count in fooled.items()}
    nothing = {**cell(1, 0, 1.0), "examples": 0, "accuracy": None, "original_accuracy": None}
    again["matrix"]["l2"]["control"] = dict.fromkeys(("baseline", "l2", "linf"), nothing)
    details["transfers"].append(again)
    store(tmp_path / "data", "mnist", summary, details)
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert "Seeds 0, 1, the first 1,000 test images" in page
    # 60 % of 50 and 90 or 50 % of 70 examples; a seed without examples has no say
    assert "| l2 (60) | 60.0 (100.0) | 55.0 (100.0) | 0 (100) | 75.0 (100.0) |" in page
    assert "| control (25) | 60.0 (100.0) | 0 (100) | 60.0 (100.0) | 60.0 (100.0) |" in page
    assert "linf fully_connected (85.0 % of these images right)." in page
    assert "The same in every seed, trained once: linf." in page
    assert "more than one seed: transfer" not in page


def test_three_seeds_show_as_three(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    for content in (summary, details):
        content["seeds"] = [0, 1, 2]
    summary["nets"]["l2"]["test_accuracy"] = over_seeds([0.98, 0.99, 1.0])
    store(tmp_path / "data", "mnist", summary, details)
    text = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert "3 seeds: 0, 1, 2" in text
    assert "99.00 ± 1.00" in text
    assert "more seeds" not in text


def test_what_fewer_images_gain_stands_where_the_gain_is_asked_for(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    none = copy.deepcopy(summary)
    for net in ("l2", "linf"):
        lose(none, net)
    unsure = copy.deepcopy(none)
    unsure["nets"]["linf"]["test_accuracy"] = over_seeds([0.93, 0.96, 0.98])

    def trained(images: int) -> dict[str, Any]:
        found = copy.deepcopy(details)
        recipe = {
            "images": images, "architecture": {"name": "mnist_convnet"}, "objective": {"label_smoothing": 0.0},
            "training": {"epochs": 20, "batch_size": 50, "optimiser": {"name": "sgd"}, "schedule": {"name": "triangle"}, "translation": 0, "flips": False},
            "seed_offset": 0,
        }  # fmt: skip
        found["nets"]["baseline"]["trained"] = recipe
        found["adversarial_set"] = [{"sets": {"l2": {"radius": 1.0}}}]
        return found

    store(data, "mnist", none, trained(60000))
    first = make_page(data, docs).read_text().partition("### C1")[2].partition("### C2")[0]
    assert (
        "Why not on MNIST: that isn't known. A guess that wasn't put to a test: 3 epochs" in first
    )
    store(data, "mnist/few", none, {**trained(6000), "environment": "few"})
    first = make_page(data, docs).read_text().partition("### C1")[2].partition("### C2")[0]
    assert (
        "Why not on MNIST: that isn't known. It isn't only that 3 epochs overfit nothing" in first
    )
    store(data, "mnist/few", unsure, {**trained(6000), "environment": "few"})
    first = make_page(data, docs).read_text().partition("### C1")[2].partition("### C2")[0]
    assert "that isn't known. Where there is more to overfit, no gain is larger than" in first
    one = copy.deepcopy(summary)
    lose(one, "l2")
    store(data, "mnist/few", one, {**trained(6000), "environment": "few"})
    first = make_page(data, docs).read_text().partition("### C1")[2].partition("### C2")[0]
    assert "where there is more to overfit, linf training gains; so it may be that" in first
    store(data, "mnist/few", summary, {**trained(6000), "environment": "few"})
    first = make_page(data, docs).read_text().partition("### C1")[2].partition("### C2")[0]
    assert "where there is more to overfit, l2 and linf training gains; so it may be that" in first
    assert "MNIST, `conf/few`, 6,000 training images gone through 20 times (below): l2 +" in first
    # what else is unlike could be why, too
    other = {**trained(6000), "environment": "few"}
    other["nets"]["l2"]["uncertainty_set"] = {"name": "l2", "radius": 0.02}
    other["nets"]["baseline"]["trained"]["objective"] = {"label_smoothing": 0.1}
    store(data, "mnist/few", summary, other)
    first = make_page(data, docs).read_text().partition("### C1")[2].partition("### C2")[0]
    assert (
        "where there is more to overfit, l2 and linf training gains (radii of l2 0.02 and label smoothing of 0.1 instead of 0); so it may be that "
        "3 epochs overfit nothing that a regulariser could mend, or that these settings matter."
        in first
    )


def test_smallest_perturbations_of_the_complete_data_are_shown(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    assert "* MNIST: Szegedy's attack (Eq. 1)" in make_page(data, docs).read_text()
    table = pd.DataFrame({"net": ["l2"], "median_norm": [1.4567], "environment": ["quick"]})
    stored = data / "08_reporting/mnist/smallest_perturbations.csv"
    table.to_csv(stored, index=False)
    assert "1.4567" not in make_page(data, docs).read_text()
    table.assign(environment="base").to_csv(stored, index=False)
    page = make_page(data, docs).read_text()
    assert "| net | median_norm |\n| --- | --- |\n| l2 | 1.4567 |" in page
    assert "* MNIST: Szegedy's attack (Eq. 1)" not in page


def test_the_end_of_a_long_training_is_averaged(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    curves = {
        "baseline": [0.5] * 20 + [0.90] * 19 + [0.95],
        "control": [0.5] * 20 + [0.90] * 20,
        # ahead all the while, behind at the end
        "l2": [0.5] * 20 + [0.93] * 19 + [0.94],
        "linf": [0.5] * 20 + [0.80] * 19 + [0.96],
    }
    for net, curve in curves.items():
        details["nets"][net]["curves"] = {"test_accuracy": [curve], "seconds": [[1.0] * 40]}
    store(tmp_path / "data", "mnist", summary, details)
    store(tmp_path / "data", "mnist/paper", summary, {**details, "environment": "paper"})
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    # l2: 0.9305 − 0.9025, linf: 0.808 − 0.9025
    assert "counts): l2 +2.80 (−1.00), linf −9.45 (+1.00)." in page


def test_objectives_of_the_complete_data_are_shown(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    assert "* MNIST: one net under each objective" in make_page(data, docs).read_text()
    table = pd.DataFrame(
        {
            "net": ["baseline", "control", "worst_case", "vat"], "objective": ["", "", "worst_case", "vat"],
            "options": ["", "", "", "beta=1.0"], "uncertainty_set": "l2", "radius": 1.2,
            "test_accuracy": [99.05, 99.2, 99.12, 99.34], "adversarial_set_accuracy": [0.0, 50.0, 88.0, 87.5],
            "pgd_0.1": [70.0, 71.0, 93.15, 90.0], "certified_0.1": [0.0, 0.0, None, 12.5],
            "pgd_images": 2000, "environment": "base", "failed_gates": ["", "", "", "gradients_are_there"],
        }
    )  # fmt: skip
    stored = data / "08_reporting/mnist/objectives.csv"
    table.drop(columns="environment").to_csv(stored, index=False)
    assert "beta=1.0" not in make_page(data, docs).read_text()
    table.to_csv(stored, index=False)
    page = make_page(data, docs).read_text()
    assert "| worst_case | worst_case | – | l2 | 1.2 | 99.12 | 88.00 | 93.15 | – |" in page
    assert "| vat (flagged) | vat | beta=1.0 | l2 | 1.2 | 99.34 | 87.50 | 90.00 | 12.50 |" in page
    assert "| test set | adversarial set | PGD, ε = 0.1 | certified, ε = 0.1 |" in page
    assert "* MNIST: one net under each objective" not in page
    assert (
        "MNIST, other objectives and radii (below): of the 2 nets that aren't standard the most accurate is vat with 99.34 %, against the baseline's 99.05 and the control's "
        "99.20 (1 of 2 are above both)."
    ) in page


def test_what_clipping_takes_off_the_tangent_plane_is_told(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    store(tmp_path / "data", "mnist", summary, details)
    table = pd.DataFrame(
        {
            "net": ["l2", "clipped", "free"], "objective": "worst_case", "options": "", "uncertainty_set": ["l2", "tangent", "tangent"], "radius": 1.2,
            "test_accuracy": 99.0, "adversarial_set_accuracy": 50.0, "pgd_0.1": 70.0, "pgd_images": 2000, "environment": "base", "failed_gates": "",
            "clipped_length": [None, 0.84, None], "off_plane": [None, 0.41, None],
        }
    )  # fmt: skip
    table.to_csv(tmp_path / "data/08_reporting/mnist/objectives.csv", index=False)
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert (
        "clipped: its steps are clipped to the pixel box. What is left of one has 84 % of the radius for its length, and 41 % of"
        in page
    )
    assert "free: its steps stay on the tangent plane and may leave the pixel box" in page
    assert "\nl2: its steps" not in page


def test_first_epochs_are_shown_until_the_settings_are_run_in_full(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    alone = make_page(data, docs).read_text()
    for folder in ("paper/baseline", "paper/l2", "seed_1/baseline", "baseline"):
        path = data / "07_model_output/mnist" / folder / "learning_curve.csv"
        path.parent.mkdir(parents=True)
        path.write_text("epoch,loss,test_accuracy,seconds\n1,2.0001,0.4125,60.4\n2,1.5,0.5,59.6\n")
    page = make_page(data, docs).read_text()
    heading = "## MNIST with the settings of `conf/paper`: the first epochs"
    section = page.partition(heading)[2].partition("\n## ")[0]
    assert page.replace(heading + section + "\n", "") == alone
    assert "`kedro run --env=paper --pipeline=mnist_robust --nodes=mnist.baseline.train,mnist.l2.train --params=mnist.training.epochs=2`" in section  # fmt: skip
    assert "| baseline | 1 | 2.000 | 41.25 | 60 |\n| baseline | 2 | 1.500 | 50.00 | 60 |\n| l2 | 1 |" in section  # fmt: skip
    # the page of a fresh clone, then that of a run in full
    assert make_page(tmp_path / "nowhere", docs).read_text() == page
    store(data, "mnist/paper", summary, {**details, "environment": "paper"})
    assert heading not in make_page(data, docs).read_text()


def test_what_the_watch_saw_is_shown_and_outlasts_the_data(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    data, docs = tmp_path / "data", tmp_path / "docs"
    store(data, "mnist", summary, details)
    alone = make_page(data, docs).read_text()
    seen = "epoch,loss,test_accuracy,seconds,overfits,kept,held_out_accuracy,held_out_fgsm_accuracy,held_out_pgd_accuracy\n"
    curves = {
        "single": "1,2,0.4,60,False,True,0.9,0.7,0.65\n2,1,0.5,60,True,False,0.9,0.95,0.015\n",
        "strong": "1,2,0.4,60,False,False,0.8,0.5,0.4\n2,1,0.5,60,False,True,0.85,0.55,0.52\n",
    }
    for net, rows in curves.items():
        path = data / "07_model_output/mnist" / net / "learning_curve.csv"
        path.parent.mkdir(parents=True)
        path.write_text(seen + rows)
    page = make_page(data, docs).read_text()
    heading = "## MNIST: catastrophic overfitting, watched"
    section = page.partition(heading)[2].partition("\n## ")[0]
    assert page.replace(heading + section + "\n", "") == alone
    assert "--pipeline=mnist_robust --namespaces=mnist.single,mnist.strong`" in section
    assert "| single | 2 | 1 | 1 | 90.0 | 70.0 | 65.0 | 1.5 to 65.0 |" in section
    assert "| strong | 2 | 0 | 2 | 85.0 | 55.0 | 52.0 | 40.0 to 52.0 |" in section
    assert "(results/mnist_watched_nets.png)" in section
    assert (docs / "results/mnist_watched_nets.png").stat().st_size > 10_000
    # of a net that is trained anew the newer counts, of others what is stored
    path.write_text(seen + curves["single"])
    (data / "07_model_output/mnist/single/learning_curve.csv").unlink()
    renewed = make_page(data, docs).read_text()
    assert "| single | 2 | 1 | 1 | 90.0 | 70.0 | 65.0 | 1.5 to 65.0 |" in renewed
    assert "| strong | 2 | 1 | 1 | 90.0 | 70.0 | 65.0 | 1.5 to 65.0 |" in renewed


def test_flagged_nets_are_marked(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    details["nets"]["l2"]["failed_gates"] = ["gradients_are_there"]
    store(tmp_path / "data", "mnist", summary, details)
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert "| l2 (flagged) |" in page
    assert "| linf (flagged) |" not in page
    assert "l2 failed gradients are there" in page


def test_the_page_shows_what_strong_attacks_left(
    tmp_path: Path, summary: dict[str, Any], details: dict[str, Any]
) -> None:
    store(tmp_path / "data", "mnist", summary, details)
    make_page(tmp_path / "data", tmp_path / "docs")
    nets = ", ".join(summary["nets"])
    missing = f"* MNIST: strong attacks in full on {nets}: `kedro run"
    assert missing in (tmp_path / "docs/results.md").read_text()
    entry = {
        "experiment": "mnist", "net": "linf_strong", "norm": "linf", "epsilon": 0.3, "images": 10000,
        "clean_accuracy": 0.9871, "fgsm_accuracy": None, "pgd_accuracy": 0.912,
        "autoattack_accuracy": 0.8834, "seconds": 3600.0, "command": "kedro run --env=robust",
    }  # fmt: skip
    (tmp_path / "docs/results/verification.json").write_text(json.dumps([entry]))
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert "](results/mnist_strong_attacks.png)\n" in page
    assert (tmp_path / "docs/results/mnist_strong_attacks.png").stat().st_size > 10_000
    row = "| MNIST | linf_strong | linf 0.3 | 10,000 | 98.71 | – | 91.20 | 88.34 | – | 87.7 to 89.0 | 60 |"
    assert row in page
    assert "Commands: `kedro run --env=robust`" in page
    # which says nothing of the experiment's own nets
    assert missing in page
    elsewhere = [{**entry, "environment": "float32", "net": net} for net in summary["nets"]]
    (tmp_path / "docs/results/verification.json").write_text(json.dumps([entry, *elsewhere]))
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert "| MNIST, `conf/float32` | baseline | linf 0.3 |" in page
    assert missing in page
    own = [{**entry, "net": net} for net in summary["nets"]]
    (tmp_path / "docs/results/verification.json").write_text(json.dumps([entry, *own[1:]]))
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert f"* MNIST: strong attacks in full on {own[0]['net']}: " in page
    (tmp_path / "docs/results/verification.json").write_text(json.dumps([entry, *own]))
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert "MNIST: strong attacks in full" not in page
    flagged = {**entry, "failed_gates": ["gradients_are_there"]}
    (tmp_path / "docs/results/verification.json").write_text(json.dumps([flagged, *own]))
    page = make_page(tmp_path / "data", tmp_path / "docs").read_text()
    assert row.replace("linf_strong", "linf_strong (flagged)") in page
    assert "Flagged: linf_strong of MNIST failed gradients are there; " in page


def test_readings_end_in_what_they_say_of_the_default() -> None:
    table = pd.DataFrame(
        {
            "norm": ["l1", "l1", "l2", "l2", "linf"],
            "radius": [2.0, 2.0, 1.2, 1.2, 0.1],
            "step": ["box_aware", "literal", "box_aware", "unclipped", "box_aware"],
            "test_accuracy": [99.3, 99.1, 99.4, 99.5, 99.4],
            "adversarial_set_accuracy": [70.0, 60.0, 80.0, 79.0, 80.0],
            "pgd_0.1": [50.0, 40.0, 60.0, 62.5, 70.0],
            "pgd_images": [100] * 5,
        }
    )
    assert list(conclusions(table)) == [
        "l1: no other reading is ahead of the exact step in any accuracy shown here.",
        "l2: ahead of the exact step unclipped by 0.10 (test set), unclipped by 2.50 (PGD, ε = 0.1).",
    ]


def test_readings_of_other_radii_are_not_compared() -> None:
    table = pd.DataFrame(
        {
            "norm": ["l2"] * 4,
            "radius": [1.0, 1.0, 2.0, 2.0],
            "step": ["box_aware", "literal", "box_aware", "literal"],
            "test_accuracy": [99.5, 99.4, 99.0, 99.2],
            "adversarial_set_accuracy": [70.0, 69.0, 80.0, 79.0],
        }
    )
    assert list(conclusions(table)) == [
        "l2 1: no other reading is ahead of the exact step in any accuracy shown here.",
        "l2 2: ahead of the exact step literal by 0.20 (test set).",
    ]


def test_entries_of_weaker_attacks_and_of_fewer_gates_are_named() -> None:
    def entry(net: str, norm: str, **of_newer: Any) -> dict[str, Any]:
        return {
            "experiment": "mnist", "net": net, "norm": norm, "epsilon": 0.5, "images": 100, "clean_accuracy": 0.9,
            "seconds": 60.0, "command": None, **of_newer,
        }  # fmt: skip

    newest = {"gates": 100, "code_sha256": "c0de", "gates_edition": EDITION}
    of_all = [
        entry("baseline", "l1"),
        entry("baseline", "l2"),
        entry("control", "linf"),
        entry("l2", "l1", gates=100),
        entry("linf", "l1", **newest),
    ]
    mnist = Stored("mnist", summary={}, details={"title": "MNIST", "environment": "base"})
    text = survival.section(of_all, [mnist])
    assert "PGD was another attack in the entries of baseline (MNIST), l2 (MNIST):" in text
    newest_only = survival.section(of_all[4:], [])
    assert "another attack" not in newest_only
    assert "asked less" not in newest_only
    milder = (
        "Of baseline (MNIST), control (MNIST), l2 (MNIST) the sanity gates asked less than today's"
    )
    assert milder in text
