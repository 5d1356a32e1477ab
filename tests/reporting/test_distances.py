"""Szegedy's attack as a pipeline measures it: closed form on a linear net of two classes."""

from __future__ import annotations

import math

import pytest
import torch

from robustify.pipelines.smallest_perturbations.nodes import compare_distances, perturb
from robustify.reporting.distances import distances_figure, distances_table
from robustify.storage import Tensors, TrainedNet

from ..conftest import LinearNet

CLASSES = ["zero", "one"]


def measured(net: LinearNet, images: torch.Tensor, labels: torch.Tensor) -> Tensors:
    return perturb(
        TrainedNet(net, {}, {"tensors_sha256": "net"}),
        Tensors({"images": images, "labels": labels}, {"tensors_sha256": "data"}),
        {"images": len(images), "search_steps": 20},
        "cpu",
    )


def grey_images(count: int) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(108, 148, (count, 3, 2, 2), dtype=torch.uint8)


def test_the_tables_norms_are_the_distances_to_the_hyperplane() -> None:
    torch.manual_seed(3)
    net = LinearNet(12, 2)
    images = grey_images(9)
    weight, bias = net.linear.weight.detach().double(), net.linear.bias.detach().double()
    margin = (images.double() / 255).flatten(1) @ (weight[0] - weight[1]) + bias[0] - bias[1]
    # three labels are wrong; their images are no part of any norm
    labels = (margin < 0).long()
    labels[:3] = 1 - labels[:3]
    distance = (margin.abs() / (weight[0] - weight[1]).norm())[3:]
    (row,) = distances_table({"net": measured(net, images, labels)}, environment="x").to_dict(
        "records"
    )
    assert (row["images"], row["flipped"]) == (9, 100.0)
    assert row["test_accuracy"] == pytest.approx(100 * 6 / 9, abs=0.01)
    assert row["mean_norm"] == pytest.approx(distance.mean().item(), rel=5e-3)
    assert row["median_norm"] == pytest.approx(
        (distance.sort().values[2] + distance.sort().values[3]).item() / 2, rel=5e-3
    )
    # rounded to five digits, of a norm rounded to four
    assert row["mean_distortion"] == pytest.approx(row["mean_norm"] / math.sqrt(12), abs=2e-5)


def test_a_net_that_no_image_flips_has_no_mean_and_an_infinite_median() -> None:
    net = LinearNet(12, 2)
    torch.nn.init.zeros_(net.linear.weight)
    net.linear.bias.data.copy_(torch.tensor([1.0, -1.0]))
    found = measured(net, grey_images(4), torch.zeros(4, dtype=torch.int64))
    (row,) = distances_table({"net": found}, environment="x").to_dict("records")
    assert (row["flipped"], row["median_norm"], row["mean_norm"]) == (0.0, math.inf, None)
    (axes,) = distances_figure({"net": found}, "title").axes
    assert axes.lines[0].get_ydata().tolist() == [100.0]
    data = Tensors({"images": grey_images(4), "labels": torch.zeros(4, dtype=torch.int64)}, {})
    _, figures = compare_distances(data, CLASSES, "title", "x", found, nets=("net",))
    assert set(figures) == {"smallest_perturbations.png"}  # no picture of flips without a flip


def test_options_that_are_left_out_are_the_schemas() -> None:
    torch.manual_seed(3)
    net, images = LinearNet(12, 2), grey_images(2)
    data = Tensors(
        {"images": images, "labels": torch.zeros(2, dtype=torch.int64)}, {"tensors_sha256": "data"}
    )
    found = perturb(TrainedNet(net, {}, {"tensors_sha256": "net"}), data, {}, "cpu")
    assert found.provenance["options"] == {
        "images": 100, "candidates": None, "search_steps": 10, "iterations": 50, "batch_size": 128,
    }  # fmt: skip


def test_the_line_falls_by_one_image_at_each_norm_and_the_pictures_show_flips() -> None:
    torch.manual_seed(3)
    net, images = LinearNet(12, 2), grey_images(5)
    labels = net(images.float() / 255).argmax(dim=1)
    found = measured(net, images, labels)
    data = Tensors({"images": images, "labels": labels}, {})
    table, figures = compare_distances(data, CLASSES, "title", "x", found, found, nets=("a", "b"))
    assert table["net"].tolist() == ["a", "b"]
    assert set(figures) == {"smallest_perturbations.png", "a.png", "b.png"}
    line = figures["smallest_perturbations.png"].axes[0].lines[0]
    assert line.get_ydata().tolist() == [100.0, 80.0, 60.0, 40.0, 20.0, 0.0]
    assert line.get_xdata()[1:] == pytest.approx(sorted(found.tensors["norm"].tolist()))
    titles = [axes.get_title() for axes in figures["a.png"].axes]
    seen = [CLASSES[label] for label in labels.tolist()]
    assert titles[:5] == seen
    assert titles[5:10] == [CLASSES[1 - CLASSES.index(name)] for name in seen]
