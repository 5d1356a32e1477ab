from __future__ import annotations

import pandas as pd

from robustify.reporting.readings import readings_table


def test_readings_stand_side_by_side() -> None:
    steps = {"l2": {}, "l2_unclipped": {"step": "unclipped"}, "l2_literal": {"step": "literal"}}
    evaluations = {
        net: {
            "uncertainty_set": {"name": "l2", "radius": 1.2, **step},
            "test_accuracy": 0.99,
            "adversarial_set_accuracy": 0.8,
            "epsilon_sweep": {"0.1": 0.9},
        }
        for net, step in steps.items()
    }
    table = readings_table(
        {"l2": {"box_aware": 30, "literal": 20, "unclipped": 40}},
        evaluations=evaluations,
        curves={net: pd.DataFrame({"seconds": [1.0, 3.0]}) for net in steps},
        attacks={
            net: {
                "images": 7,
                "pgd_accuracy": {"0.2": 0.5},
                "failed_gates": {"batching_changes_nothing": "it does"} if net == "l2" else {},
            }
            for net in steps
        },
        environment="base",
    )
    assert list(table["step"]) == ["box_aware", "literal", "unclipped"]
    assert list(table["failed_gates"]) == ["batching_changes_nothing", "", ""]
    assert list(table["set_size"]) == [30, 20, 40]
    assert set(table["pgd_0.2"]) == {50.0}
    assert set(table["seconds_per_epoch"]) == {2.0}
    assert set(table["environment"]) == {"base"}
