from __future__ import annotations

import pandas as pd
import pytest

from robustify.configuration import Paper
from robustify.reporting import results
from robustify.reporting.report import render_html
from robustify.reporting.terminal import experiment_text

CURVE = pd.DataFrame(
    {"epoch": [1, 2], "loss": [1.0, 0.5], "test_accuracy": [0.8, 0.9], "seconds": [10.0, 12.0]}
)


def evaluation(test: float, stored: float, radius: float) -> dict:
    return {
        "test_accuracy": test,
        "adversarial_set_accuracy": stored,
        "epsilon_sweep": {"0.1": 0.5, "0.2": 0.25},
        "radius": radius,
        "seconds": 3.0,
    }


@pytest.fixture
def gathered() -> dict:
    return results.gather(
        experiment="mnist",
        seed=7,
        device="cpu",
        evaluations={
            "baseline": evaluation(0.9912, 0.0, 0.0),
            "control": evaluation(0.99, 0.6, 0.0),
            "l2": evaluation(0.99341, 0.75, 1.2),
        },
        curves={"baseline": CURVE, "control": CURVE, "l2": CURVE},
        adversarial_set={
            "size": 10,
            "by_norm": {"l2": 4, "linf": 6},
            "sets": {"l2": {"radius": 0.05}, "linf": {"radius": 0.5 / 255}},
            "survive_rounding_to_uint8": 9,
        },
        seconds_of_attack=5.0,
    )


PAPER = Paper(nets={"baseline": {"test_accuracy": 0.9909, "adversarial_set_accuracy": 0.0}})


def test_times_add_up(gathered: dict) -> None:
    assert gathered["seconds"] == 5 + 3 * (22 + 3)
    assert gathered["nets"]["l2"]["seconds_per_epoch"] == 11


def test_tables_are_in_per_cent_beside_the_papers(gathered: dict) -> None:
    table = results.summary_table(gathered, PAPER).set_index("net")
    assert table.loc["l2", "test_accuracy"] == 99.34
    assert table.loc["baseline", "paper_test_accuracy"] == 99.09
    assert pd.isna(table.loc["control", "paper_test_accuracy"])
    sweep = results.epsilon_sweep_table(gathered)
    assert sweep.query("net == 'control' and epsilon == 0.2")["accuracy"].item() == 0.25
    assert len(sweep) == 6


SETTINGS = {
    "title": "MNIST", "training": {"flips": False}, "seed": 7, "environment": "base", "data": {"name": "mnist"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": "mnist"}, "All 60,000 training images, all 10,000 test images; "),
        (
            {"name": "cifar10", "training_images": 5000, "test_images": 1000},
            "5,000 of 50,000 training images, 1,000 of 10,000 test images; ",
        ),
    ],
)
def test_the_report_says_how_much_of_the_data_it_is_of(
    gathered: dict, data: dict, said: str
) -> None:
    settings = {**SETTINGS, "data": data, "environment": "quick"}
    page = render_html(gathered, results.summary_table(gathered, PAPER), {}, settings)
    assert f"{said}settings of <code>conf/quick</code>, seed 7;" in page


def test_text_and_page_show_every_net(gathered: dict) -> None:
    table = results.summary_table(gathered, PAPER)
    text = experiment_text(gathered, table, folder="data/08_reporting/mnist")
    assert "99.12 (99.09)" in text
    assert "10 examples (l2 4, linf 6)" in text
    page = render_html(gathered, table, {}, {**SETTINGS, "title": "MNIST <1>"})
    assert "MNIST &lt;1&gt;" in page
    assert "99.34" in page
    assert "l2 0.05, linf 0.5/255." in page
    assert "None" not in page
    assert "nan" not in page


def test_the_report_says_what_held_out_images_chose(gathered: dict) -> None:
    table = results.summary_table(gathered, PAPER)
    fixed = "The number of epochs was fixed beforehand"
    page = render_html(gathered, table, {}, SETTINGS)
    assert fixed in page
    assert "chose when to stop" not in page
    watched = CURVE.assign(held_out_pgd_accuracy=[0.5, 0.4], kept=[True, False])
    curves = {"baseline": CURVE, "control": CURVE, "l2": watched}
    chosen = results.gather(
        experiment="mnist",
        seed=7,
        device="cpu",
        evaluations={name: evaluation(0.9, 0.7, 1.2) for name in curves},
        curves=curves,
        adversarial_set=gathered["adversarial_set"],
        seconds_of_attack=5.0,
    )
    assert chosen["nets"]["l2"]["selection"] == {"epoch": 1, "epochs": 2}
    assert "selection" not in chosen["nets"]["control"]
    page = render_html(chosen, table, {}, SETTINGS)
    assert "never the test set:\nl2, the weights of epoch 1 of 2." in page
    assert "Of the other nets the number of epochs was fixed beforehand" in page
    curve = results.learning_curves_table(curves)
    assert list(curve.columns) == [
        "net", "epoch", "loss", "test_accuracy", "seconds", "held_out_pgd_accuracy", "kept",
    ]  # fmt: skip
    assert curve["held_out_pgd_accuracy"].isna().sum() == 4
    assert list(results.learning_curves_table({"l2": CURVE}).columns) == [
        "net", "epoch", "loss", "test_accuracy", "seconds",
    ]  # fmt: skip


def test_results_hold_no_times_of_attacks() -> None:
    row = {"norm": "l2", "epsilon": 1.2, "attack": "pgd_10", "accuracy": 0.5}
    found = results.gather(
        experiment="mnist",
        seed=7,
        device="cpu",
        evaluations={"l2": evaluation(0.9, 0.7, 1.2)},
        curves={"l2": CURVE},
        adversarial_set={"size": 10},
        seconds_of_attack=5.0,
        verifications={
            "l2": {"measured": [{**row, "seconds": 0.2}], "seconds": 4.0, "failed_gates": {}}
        },
    )
    assert found["nets"]["l2"]["verification"] == {
        "measured": [row],
        "seconds": 4.0,
        "failed_gates": {},
    }
    assert found["seconds"] == 5 + 22 + 3 + 4


def test_what_null_drops_of_the_paper_is_left_out(gathered: dict) -> None:
    reported = {"test_accuracy": 0.9, "adversarial_set_accuracy": 0.1}
    table = results.summary_table(gathered, Paper(nets={"l2": None, "control": reported}))
    accuracies = table.set_index("net")["paper_test_accuracy"]
    assert pd.isna(accuracies["l2"])
    assert accuracies["control"] == 90.0
