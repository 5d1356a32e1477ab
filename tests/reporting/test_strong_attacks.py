"""The figure of strong attacks shows what entries of verification.json hold, each in its place."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.axes import Axes

from robustify.reporting.strong_attacks import strong_attacks


def entry(net: str, norm: str, epsilon: float, one: float, left: float, **more: Any) -> dict:
    return {
        "net": net, "norm": norm, "epsilon": epsilon, "clean_accuracy": 0.9, "fgsm_accuracy": one,
        "all_attacks_accuracy": left, "autoattack_accuracy": None, **more,
    }  # fmt: skip


ENTRIES = [
    entry("baseline", "l2", 1.0, 0.6, 0.3),
    entry("baseline", "linf", 8 / 255, 0.4, 0.1),
    entry("baseline", "linf", 2 / 255, 0.8, 0.7),
    entry("linf", "linf", 2 / 255, 0.85, 0.75, autoattack_accuracy=0.76),
    entry("linf", "linf", 8 / 255, 0.5, 0.2),
    entry("linf", "l2", 1.0, 0.7, 0.4),
    # its only ball, of a file that holds no more than AutoAttack's outcome
    entry("linf_strong", "linf", 8 / 255, 0.6, None, autoattack_accuracy=0.41),
]


def lines(axes: Axes) -> list[tuple[str, list[float], list[float]]]:
    return [
        (
            line.get_marker(),
            [round(float(x), 6) for x in line.get_xdata()],
            [round(float(y), 6) for y in line.get_ydata()],
        )
        for line in axes.get_lines()
        if len(line.get_xdata())
    ]


def test_lines_and_stars_stand_where_the_entries_say() -> None:
    figure = strong_attacks(ENTRIES, "CIFAR-10")
    linf, l2 = figure.axes
    assert (linf.get_title(), l2.get_title()) == ("$\\ell_\\infty$ balls", "$\\ell_2$ balls")
    assert linf.get_xlabel() == "ε, in levels of 255"
    assert l2.get_xlabel() == "ε, on the [0, 1] scale"
    assert lines(linf) == [
        ("", [0, 2, 8], [90, 80, 40]),
        ("o", [0, 2, 8], [90, 70, 10]),
        ("", [0, 2, 8], [90, 85, 50]),
        ("v", [0, 2, 8], [90, 75, 20]),
        ("*", [2], [75]),
        ("P", [0, 8], [90, 41]),
        ("*", [8], [41]),
    ]
    assert lines(l2) == [
        ("", [0, 1], [90, 60]),
        ("o", [0, 1], [90, 30]),
        ("", [0, 1], [90, 70]),
        ("v", [0, 1], [90, 40]),
    ]
    assert [line.get_linestyle() for line in linf.get_lines() if line.get_marker() == "P"] == [
        "None"
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()][-3:] == [
        "after one step",
        "after all attacks",
        "AutoAttack among them",
    ]


@pytest.mark.parametrize("largest", [0.3, 0.1])
def test_large_radii_are_no_levels(largest: float) -> None:
    (axes,) = strong_attacks([entry("l2", "linf", largest, 0.5, 0.2)], "MNIST").axes
    assert axes.get_xlabel() == "ε, on the [0, 1] scale"
