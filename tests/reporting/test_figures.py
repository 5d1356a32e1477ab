"""Figures show the numbers they are given, in the units they name."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from robustify.reporting import figures
from robustify.reporting.titles import experiment_title


@pytest.mark.parametrize(
    ("epsilons", "shown", "unit"),
    [
        ([2 / 255, 1 / 255], [0, 1, 2], "levels of 255"),
        ([0.2, 0.1], [0, 0.1, 0.2], "[0, 1] scale"),
    ],
)
def test_sweep_begins_with_the_clean_images_and_names_its_unit(
    epsilons: list[float], shown: list[float], unit: str
) -> None:
    sweep = pd.DataFrame({"net": "l2", "epsilon": epsilons, "accuracy": [0.5, 0.75]})
    axes = figures.accuracy_versus_epsilon(sweep, {"l2": 0.9}, "title").axes[0]
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_xdata(), shown)
    np.testing.assert_allclose(line.get_ydata(), [90, 75, 50])
    assert unit in axes.get_xlabel()


def test_no_two_nets_of_a_figure_look_alike() -> None:
    nets = [
        *figures.NET_COLOURS,
        "linf_strong",
        "linf_single_step",
        *(f"net {i}" for i in range(14)),
    ]
    looks = figures.lines_of(nets)
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == len(nets)
    near = [looks[net] for net in nets[5:9]]
    assert len({look["color"] for look in near}) == len({look["marker"] for look in near}) == 4


def test_single_pixel_flip_is_circled_where_it_is() -> None:
    clean = np.zeros((1, 1, 28, 28))
    adversarial = clean.copy()
    adversarial[0, 0, 5, 20] = 1
    drawn = figures.single_pixel_flips(clean, adversarial, ["3"], ["8"], "title")
    (circle,) = drawn.axes[1].patches
    assert circle.center == (20, 5)


def test_difference_is_magnified_to_the_full_range() -> None:
    clean = np.full((1, 3, 4, 4), 0.5)
    adversarial = clean.copy()
    adversarial[0, 0, 0, 0] += 0.02
    drawn = figures.adversarial_grid(clean, adversarial, ["cat"], ["dog"], ["linf"], "title")
    shown = drawn.axes[2].images[0].get_array()
    assert shown[0, 0, 0] == pytest.approx(1)
    assert shown[1, 1, 1] == pytest.approx(0.5)
    assert drawn.axes[2].get_xlabel() == "×50"


def test_dollars_are_dollars_and_one_epoch_is_one_tick() -> None:
    curves = pd.DataFrame({"net": ["l2"], "epoch": [1], "test_accuracy": [0.9]})
    figure = figures.accuracy_versus_epoch(curves, r"a $\foo$ b, $5 & $x_")
    figure.savefig(BytesIO())  # a formula that isn't one would end it
    (axes,) = figure.axes
    assert axes.get_title() == r"a \$\foo\$ b, \$5 & \$x_"
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1.0]


def test_figures_of_other_settings_than_the_default_ones_name_them() -> None:
    assert experiment_title({"title": "MNIST", "environment": "base"}) == "MNIST"
    assert experiment_title({"title": "MNIST", "environment": "paper"}) == "MNIST, conf/paper"
