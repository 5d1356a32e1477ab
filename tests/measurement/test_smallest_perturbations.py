from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from robustify.errors import InputError
from robustify.measurement.smallest_perturbations import smallest_perturbations
from robustify.nets import make_net

from ..conftest import LinearNet


def binary_net(dimensions: int = 12) -> LinearNet:
    torch.manual_seed(3)
    net = LinearNet(dimensions, 2).double()
    net.linear.weight.data.mul_(4)
    return net


def slope_and_margin(net: LinearNet, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient of the true class's lead over the other one, and that lead, where the label is 0."""
    weight, bias = net.linear.weight.detach(), net.linear.bias.detach()
    slope = weight[0] - weight[1]
    return slope, x.flatten(1) @ slope + bias[0] - bias[1]


def right_images(net: LinearNet, x: torch.Tensor) -> torch.Tensor:
    return x[slope_and_margin(net, x)[1] > 0.1]


def test_with_the_box_out_of_reach_it_is_the_distance_to_the_hyperplane() -> None:
    net = binary_net()
    x = 0.5 + 0.1 * (torch.rand(40, 3, 2, 2, dtype=torch.float64) - 0.5)
    net.linear.bias.data[0] -= slope_and_margin(net, x)[1].min() - 0.3
    slope, margin = slope_and_margin(net, x)
    distance = margin / slope.norm()
    assert distance.max() < 0.4
    found = smallest_perturbations(net, x, torch.zeros(len(x), dtype=torch.int64))
    assert found.found.all()
    torch.testing.assert_close(found.norm, distance, rtol=2e-3, atol=0)
    assert (found.norm >= distance).all()
    direction = -(slope / slope.norm()).expand(len(x), -1)
    moved = (found.images - x).flatten(1)
    torch.testing.assert_close(
        moved / moved.norm(dim=1, keepdim=True), direction, atol=2e-3, rtol=0
    )


@pytest.mark.parametrize(
    ("scale", "offset"),
    [(1e-3, 0.0), (1e-8, 0.0), (1e-25, 0.0), (1e4, 0.0), (1.0, 1e3), (1e-3, -1.0)],
)
def test_scale_and_offset_of_the_logits_change_no_distance(scale: float, offset: float) -> None:
    # the same classifier, whatever its logits are multiplied by and whatever is added to all of them
    net = binary_net().float()
    x = 0.5 + 0.1 * (torch.rand(10, 3, 2, 2) - 0.5)
    net.linear.bias.data[0] -= slope_and_margin(net, x)[1].min() - 0.3
    slope, margin = slope_and_margin(net, x)
    net.linear.weight.data.mul_(scale)
    net.linear.bias.data.mul_(scale).add_(offset)
    found = smallest_perturbations(net, x, torch.zeros(len(x), dtype=torch.int64))
    assert found.found.all()
    distance = (margin / slope.norm()).double()
    torch.testing.assert_close(found.norm, distance, rtol=5e-3, atol=0)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
@pytest.mark.parametrize("low", [-1e4, -1e9, float(torch.finfo(torch.float32).min)])
def test_a_class_that_is_switched_off_changes_no_distance(low: float, scale: float) -> None:
    # of three classes the last can't win, as where a head of many classes is masked
    net = LinearNet(12, 3)
    two = binary_net().float()
    x = 0.5 + 0.1 * (torch.rand(10, 3, 2, 2) - 0.5)
    two.linear.bias.data[0] -= slope_and_margin(two, x)[1].min() - 0.3
    slope, margin = slope_and_margin(two, x)
    net.linear.weight.data = torch.cat([scale * two.linear.weight.data, torch.zeros(1, 12)])
    net.linear.bias.data = torch.cat([scale * two.linear.bias.data, torch.tensor([low])])
    found = smallest_perturbations(net, x, torch.zeros(len(x), dtype=torch.int64))
    assert found.found.all()
    distance = (margin / slope.norm()).double()
    torch.testing.assert_close(found.norm, distance, rtol=5e-3, atol=0)


def test_with_the_box_in_the_way_it_solves_the_quadratic_programme() -> None:
    net = binary_net()
    x = right_images(net, torch.rand(40, 3, 2, 2, dtype=torch.float64).round())
    slope, margin = slope_and_margin(net, x)
    found = smallest_perturbations(net, x, torch.zeros(len(x), dtype=torch.int64), search_steps=20)
    boxed = 0
    for row in range(len(x)):
        clean = x[row].flatten().numpy()
        solved = minimize(
            lambda d: d @ d,
            np.zeros(12),
            jac=lambda d: 2 * d,
            bounds=list(zip(-clean, 1 - clean, strict=True)),
            constraints={
                "type": "ineq",
                "fun": lambda d, row=row: -(slope.numpy() @ d) - float(margin[row]),
                "jac": lambda d: -slope.numpy(),
            },
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert bool(found.found[row]) == solved.success
        if solved.success:
            assert float(found.norm[row]) == pytest.approx(np.sqrt(solved.fun), rel=5e-3)
            boxed += np.sqrt(solved.fun) > 1.01 * float(margin[row] / slope.norm())
    assert boxed >= 3
    assert found.images.min() >= 0
    assert found.images.max() <= 1


@pytest.mark.parametrize("seed", [0, 1])
def test_between_curved_borders_it_is_the_distance_to_the_nearest_point_of_a_fine_grid(
    seed: int,
) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    for layer in (net[1], net[3]):
        layer.weight.data.mul_(4)
    axis = torch.linspace(0, 1, 1001, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    torch.manual_seed(9)
    x = torch.rand(20, 1, 1, 2, dtype=torch.float64)
    with torch.no_grad():
        labels, elsewhere = net(x).argmax(dim=1), net(grid.view(-1, 1, 1, 2)).argmax(dim=1)
    assert 0 < labels.sum() < len(labels)
    nearest = torch.stack(
        [
            (grid[elsewhere != label] - image.flatten()).norm(dim=1).min()
            for image, label in zip(x, labels, strict=True)
        ]
    )
    found = smallest_perturbations(net, x, labels)
    assert found.found.all()
    assert (found.norm <= 1.01 * nearest).all()
    # no point of the square is further than half a diagonal from the grid
    assert (found.norm >= nearest - 1e-3).all()


def test_targets_are_reached_and_untargeted_is_the_nearest_of_them() -> None:
    torch.manual_seed(0)
    net = LinearNet(12, 4).double()
    net.linear.weight.data.mul_(4)
    x = torch.rand(6, 3, 2, 2, dtype=torch.float64)
    labels = net(x).argmax(dim=1)
    norms = []
    for shift in (1, 2, 3):
        targets = (labels + shift) % 4
        targeted = smallest_perturbations(net, x, labels, targets=targets)
        assert torch.equal(net(targeted.images).argmax(1)[targeted.found], targets[targeted.found])
        norms.append(targeted.norm.nan_to_num(torch.inf))
    untargeted = smallest_perturbations(net, x, labels)
    assert untargeted.found.all()
    torch.testing.assert_close(untargeted.norm, torch.stack(norms).amin(0), rtol=0.01, atol=0)


def test_examples_do_not_couple() -> None:
    torch.manual_seed(1)
    # in float32 a pass over five images rounds otherwise than one over each, and the search follows the last bits
    net = make_net("mnist_convnet").double().eval()
    x = torch.rand(5, 1, 28, 28, dtype=torch.float64)
    labels = net(x).argmax(dim=1)
    together = smallest_perturbations(net, x, labels, candidates=2, iterations=15)
    alone = [
        smallest_perturbations(net, x[i : i + 1], labels[i : i + 1], candidates=2, iterations=15)
        for i in range(5)
    ]
    assert together.found.all()
    torch.testing.assert_close(
        together.norm, torch.cat([each.norm for each in alone]), rtol=0.01, atol=0
    )
    assert not net(together.images).argmax(dim=1).eq(labels).any()


def test_bytes_go_to_a_net_in_its_own_precision() -> None:
    torch.manual_seed(0)
    net = LinearNet(12, 3).double()
    images = torch.randint(256, (5, 3, 2, 2), dtype=torch.uint8)
    labels = net(images.double() / 255).argmax(dim=1)
    found = smallest_perturbations(net, images, labels)
    assert found.found.all()
    assert not net(found.images.double()).argmax(dim=1).eq(labels).any()


def test_flips_next_to_the_border_hold_alone_and_in_double_precision() -> None:
    torch.manual_seed(1)
    net = make_net("mnist_convnet").eval()
    x = torch.rand(6, 1, 28, 28)
    labels = net(x).argmax(dim=1)
    found = smallest_perturbations(net, x, labels, candidates=1, search_steps=3, iterations=15)
    assert found.found.all()
    alone = torch.cat([net(image[None]).argmax(dim=1) for image in found.images])
    assert not alone.eq(labels).any()
    assert not net.double()(found.images.double()).argmax(dim=1).eq(labels).any()


def test_a_wrong_image_needs_no_perturbation_and_a_constant_net_has_none() -> None:
    net = binary_net()
    x = torch.rand(4, 3, 2, 2, dtype=torch.float64)
    wrong = 1 - net(x).argmax(dim=1)
    already = smallest_perturbations(net, x, wrong)
    assert already.found.all()
    assert (already.norm == 0).all()
    assert torch.equal(already.images, x)
    nn.init.zeros_(net.linear.weight)
    net.linear.bias.data = torch.tensor([2.0, 0.0], dtype=torch.float64)
    hopeless = smallest_perturbations(net, x, torch.zeros(4, dtype=torch.int64))
    assert not hopeless.found.any()
    assert hopeless.norm.isnan().all()
    assert torch.equal(hopeless.images, x)
    assert all(weight.grad is None for weight in net.parameters())


def test_an_error_in_the_net_ends_the_attack() -> None:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.passes = binary_net(), 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.passes += 1
            if self.passes > 5:
                raise RuntimeError("boom")
            return self.inner(x)

    x = right_images(binary_net(), torch.rand(9, 3, 2, 2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="boom"):
        smallest_perturbations(Failing(), x, torch.zeros(len(x), dtype=torch.int64))


def test_bad_arguments_are_refused() -> None:
    net, x = binary_net(), torch.rand(2, 3, 2, 2, dtype=torch.float64)
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(InputError, match="search_steps is 0"):
        smallest_perturbations(net, x, labels, search_steps=0)
    with pytest.raises(InputError, match="candidates is 0"):
        smallest_perturbations(net, x, labels, candidates=0)
    with pytest.raises(InputError, match="from 0 to 1 other than the labels"):
        smallest_perturbations(net, x, labels, targets=labels)
    for targets in (torch.tensor(1), torch.ones(1).long(), torch.ones(2)):
        with pytest.raises(InputError, match="they must be 2 classes, as whole numbers"):
            smallest_perturbations(net, x, labels, targets=targets)
    with pytest.raises(InputError, match="targets are a list; they must be a tensor"):
        smallest_perturbations(net, x, labels, targets=[1, 1])
    with pytest.raises(InputError, match=r"candidates is 2\.5"):
        smallest_perturbations(net, x, labels, candidates=2.5)


def test_a_system_without_threads_ends_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    started = 0

    def start(thread: threading.Thread) -> None:
        nonlocal started
        started += 1
        if started > 2:
            raise RuntimeError("can't start new thread")
        honest(thread)

    honest = threading.Thread.start
    net = binary_net()
    x = right_images(net, torch.rand(40, 3, 2, 2, dtype=torch.float64))
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(
        InputError, match="threads, one a pair of image and class; lower batch_size"
    ):
        smallest_perturbations(net, x, torch.zeros(len(x), dtype=torch.int64))


def test_a_net_of_one_class_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    with pytest.raises(InputError, match="the net has 1 class; there must be another"):
        smallest_perturbations(net, torch.rand(2, 1, 3, 4), torch.zeros(2).long())


def test_a_net_that_has_no_answer_next_to_its_images_is_refused() -> None:
    class Fragile(nn.Module):
        """Answers on bytes alone."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            flat = x.flatten(1)
            moved = ((255 * flat - (255 * flat).round()).abs() > 1e-2).any(dim=1, keepdim=True)
            return torch.where(moved, torch.nan, flat[:, :2])

    images = torch.tensor([[[[40, 200]]], [[[60, 90]]]], dtype=torch.uint8)
    with pytest.raises(InputError, match="isn't finite on"):
        smallest_perturbations(Fragile(), images, torch.tensor([1, 1]))
