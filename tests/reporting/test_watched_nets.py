from __future__ import annotations

import pandas as pd

from robustify.reporting.watched_nets import watched_figure


def seen(net: str, kept: int, pgd: list[float]) -> pd.DataFrame:
    epochs = range(1, len(pgd) + 1)
    return pd.DataFrame(
        {
            "net": net,
            "epoch": epochs,
            "kept": [epoch == kept for epoch in epochs],
            "held_out_accuracy": 0.9,
            "held_out_fgsm_accuracy": 0.8,
            "held_out_pgd_accuracy": pgd,
        }
    )


def test_each_net_has_a_panel_with_its_three_accuracies_and_the_epoch_that_is_kept() -> None:
    rows = pd.concat([seen("single", 3, [0.5, 0.0, 0.1]), seen("a$b", 1, [0.7, 0.6])])
    single, other = watched_figure(rows, "MNIST").axes
    assert (single.get_title(), other.get_title()) == ("single", r"a\$b")
    clean, one_step, several, kept = single.get_lines()
    assert several.get_xydata().tolist() == [[1, 50], [2, 0], [3, 10]]
    assert set(clean.get_ydata()) == {90}
    assert set(one_step.get_ydata()) == {80}
    assert kept.get_xydata().tolist() == [[3, 10]]
    assert other.get_lines()[-1].get_xydata().tolist() == [[1, 70]]
