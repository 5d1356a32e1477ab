from __future__ import annotations

import pandas as pd
import pytest

from robustify.reporting import results
from robustify.reporting.figures import accuracy_under_attacks
from robustify.reporting.report import render_html, render_verification
from robustify.reporting.statements import attack_label, attack_rows, statement, warning
from robustify.reporting.terminal import experiment_text

from .test_results import CURVE, PAPER, evaluation


def row(norm: str, epsilon: float, attack: str, accuracy: float) -> dict:
    return {
        "norm": norm, "epsilon": epsilon, "attack": attack, "accuracy": accuracy,
        "clean_accuracy": 0.991, "rejected": 0,
    }  # fmt: skip


def verification(*rows: dict, failed: dict | None = None, own: dict | None = None) -> dict:
    return {
        "images": 1000,
        "clean_accuracy": 0.991,
        "measured": list(rows),
        "gates": [
            {"gate": "outputs_are_logits", "passed": True, "measured": {}, "explanation": "fine"}
        ],
        "failed_gates": failed or {},
        "uncertainty_set": own or {"name": "linf", "radius": 0.3},
        "seconds": 60.0,
    }


OWN = (
    row("linf", 0.1, "one_step", 0.98),
    row("linf", 0.1, "all_attacks", 0.97),
    row("linf", 0.3, "one_step", 0.95),
    row("linf", 0.3, "pgd_20", 0.94),
    row("linf", 0.3, "all_attacks", 0.931),
)


def test_one_line_says_what_survived() -> None:
    # one that fell to another attack only didn't survive
    autoattack = row("linf", 0.1, "autoattack", 0.972)
    assert statement(verification(autoattack, *OWN)) == (
        "of 1,000 images 97.0 % survive AutoAttack and one step at linf 0.1 (99.1 % are right without an attack)"
    )
    assert "93.1 % survive one step and PGD-20 at linf 0.3" in statement(verification(*OWN))
    # a net that has no ball of its own is shown where least survived
    point = verification(*OWN, own={"name": "point"})
    assert "93.1 % survive one step and PGD-20 at linf 0.3" in statement(point)
    assert statement(verification()) == "nothing was measured"


def test_a_flag_has_its_reason() -> None:
    assert warning(verification(*OWN)) == ""
    flagged = verification(*OWN, failed={"gradients_are_there": "the gradient is zero"})
    assert warning(flagged) == "gradients are there: no – the gradient is zero"


@pytest.mark.parametrize(
    ("name", "label"),
    [("pgd_50", "PGD-50"), ("apgd_ce", "APGD-CE"), ("one_step", "one step"), ("square", "square")],
)
def test_attacks_are_called_what_people_call_them(name: str, label: str) -> None:
    assert attack_label(name) == label


@pytest.fixture
def gathered() -> dict:
    return results.gather(
        experiment="mnist",
        seed=7,
        device="cpu",
        evaluations={"baseline": evaluation(0.99, 0.0, 0.0), "l2": evaluation(0.99, 0.7, 1.2)},
        curves={"baseline": CURVE, "l2": CURVE},
        adversarial_set={
            "size": 1,
            "by_norm": {"l2": 1},
            "sets": {"l2": {"radius": 0.5}},
            "survive_rounding_to_uint8": 1,
        },
        seconds_of_attack=5.0,
        verifications={
            "baseline": verification(*OWN),
            "l2": verification(*OWN[2:], failed={"gradient_beats_noise": "noise is <stronger>"}),
        },
    )


SETTINGS = {
    "title": "MNIST", "training": {"flips": False}, "seed": 7, "environment": "base", "data": {"name": "mnist"},
}  # fmt: skip


def test_a_failed_gate_shows_in_every_table(gathered: dict) -> None:
    assert gathered["seconds"] == 5 + 2 * (22 + 3 + 60)
    assert gathered["nets"]["l2"]["verification"]["images"] == 1000
    table = results.summary_table(gathered, PAPER)
    sweep = results.epsilon_sweep_table(gathered)
    detailed = results.verification_table(
        {net: measured["verification"] for net, measured in gathered["nets"].items()}
    )
    for frame in (table, sweep, detailed):
        by_net = frame.groupby("net")["failed_gates"].agg(set)
        assert by_net["l2"] == {"gradient_beats_noise"}
        assert by_net["baseline"] == {""}
    assert len(detailed) == 8
    # as it is read again from a CSV file, an empty text is a missing one
    table["failed_gates"] = table["failed_gates"].replace("", float("nan"))
    text = experiment_text(gathered, table, folder="folder")
    assert "l2 (FLAGGED)" in text
    assert "baseline (FLAGGED)" not in text
    assert "l2 is FLAGGED, not to be believed: gradient beats noise: no" in text
    page = render_html(gathered, table, {}, SETTINGS)
    assert "noise is &lt;stronger&gt;" in page
    assert page.count("l2 (flagged)") == 2
    assert "baseline (flagged)" not in page
    assert "93.1 % survive one step and PGD-20" in page


def test_the_full_page_has_words_numbers_and_figures(gathered: dict) -> None:
    found = {net: measured["verification"] for net, measured in gathered["nets"].items()}
    figure = accuracy_under_attacks(results.verification_table(found), "by ε")
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["one step", "PGD-20", "all of them"]
    line = panels[0].get_lines()[0]
    assert list(line.get_xdata()) == [0.0, 0.1, 0.3]
    assert list(line.get_ydata()) == pytest.approx([99.1, 98, 95])
    page = render_verification(found, {"accuracy_versus_epsilon_linf.png": figure}, SETTINGS)
    assert "data:image/png;base64" in page
    assert "outputs are logits" in page
    assert "None" not in page
    assert "l2 (flagged)" in page
    # people look before they read
    assert page.index("data:image/png") < page.index("<table>")


def test_small_balls_are_drawn_in_levels_of_255_where_pixels_are_what_counts() -> None:
    attacks = ("one_step", "pgd_20", "pgd_50", "apgd_ce", "all_attacks")
    for norm, sizes in (("linf", [0.0, 2.0, 8.0]), ("l2", [0.0, 2 / 255, 8 / 255])):
        rows = [row(norm, size / 255, name, 0.5) for name in attacks for size in (8, 2)]
        table = results.verification_table({norm: verification(*rows)})
        figure = accuracy_under_attacks(table, "by ε")
        assert [axes.get_title() for axes in figure.axes][-1] == "all of them"
        assert len(figure.axes) == len(attacks)
        for axes in figure.axes:
            assert list(axes.get_lines()[0].get_xdata()) == pytest.approx(sizes)
        assert [bool(axes.get_xlabel()) for axes in figure.axes] == [False, False, True, True, True]


def test_rows_come_by_norm_and_size_wherever_a_nets_own_ball_was_measured() -> None:
    own = row("l2", 0.5, "one_step", 0.9)
    found = attack_rows({"l2": verification(own, row("linf", 0.2, "one_step", 0.8), *OWN)})
    assert [(each["norm"], each["epsilon"]) for each in found] == [
        ("l2", 0.5), ("linf", 0.1), ("linf", 0.2), ("linf", 0.3),
    ]  # fmt: skip


def test_rows_hold_what_was_measured_in_one_ball() -> None:
    first, second = attack_rows({"linf": verification(*OWN)})
    assert (first["epsilon"], second["epsilon"]) == (0.1, 0.3)
    assert second["accuracy"] == {"one_step": 0.95, "pgd_20": 0.94, "all_attacks": 0.931}


def test_a_net_that_could_not_be_attacked_has_a_row_of_its_own() -> None:
    odd = verification(failed={"outputs_are_logits": "probabilities"})
    table = results.verification_table({"odd": odd})
    assert table["failed_gates"].tolist() == ["outputs_are_logits"]
    assert table[["norm", "accuracy"]].isna().all(axis=None)
    assert isinstance(table, pd.DataFrame)
