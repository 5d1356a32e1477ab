from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from robustify.attacks import Pgd, robust_accuracy
from robustify.errors import InputError
from robustify.intervals import (
    Interval,
    has_bounds,
    interval_of,
    largest_margins,
    propagate,
    require_bounds,
)
from robustify.maximisers import make_maximiser
from robustify.measurement.certification import certified_accuracy
from robustify.nets import make_net
from robustify.nets.soft_threshold import SoftThreshold
from robustify.objectives import make_objective
from robustify.training import train
from robustify.training.recipe import Recipe
from robustify.uncertainty import L2Ball, LinfBall, make_uncertainty_set


def margins_at(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logits = net(x)
    return logits - logits.gather(1, labels[:, None])


def convnet() -> nn.Module:
    torch.manual_seed(0)
    return make_net("mnist_convnet").double().eval()


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_linear_nets_largest_margins_are_those_at_the_best_corner(size: int) -> None:
    """Closed form: each class's own worst corner of ball ∩ box, no two classes the same one."""
    torch.manual_seed(size)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double()
    x, labels = torch.rand(size, 3, 2, 2, dtype=torch.float64), torch.arange(size) % 4
    weight, bias = net[1].weight.detach(), net[1].bias.detach()
    expected = torch.zeros(size, 4, dtype=torch.float64)
    for row, (image, label) in enumerate(zip(x.flatten(1), labels, strict=True)):
        for rival in range(4):
            slope = weight[rival] - weight[label]
            corner = torch.where(slope > 0, (image + 0.3).clamp(max=1), (image - 0.3).clamp(min=0))
            expected[row, rival] = slope @ corner + bias[rival] - bias[label]
    found = largest_margins(net, interval_of(LinfBall(radius=0.3), x), labels)
    torch.testing.assert_close(found.detach(), expected, rtol=1e-12, atol=1e-12)


FALLING = SoftThreshold(steepness=3.0)
nn.init.constant_(FALLING.steepness, -2.0)
LAYERS = [
    nn.Conv2d(2, 3, 2, padding=1, stride=2),
    nn.Conv2d(2, 4, 2, groups=2, padding=1, padding_mode="circular", bias=False),
    nn.Sequential(nn.Flatten(), nn.Linear(8, 5)),
    nn.MaxPool2d(2),
    nn.AvgPool2d(2),
    nn.ReLU(),
    nn.BatchNorm2d(2).eval(),
    nn.BatchNorm2d(2, affine=False).eval(),
    SoftThreshold(steepness=3.0),
    FALLING,
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_layers_bounds_are_the_least_and_the_most_over_all_corners(layer: nn.Module) -> None:
    torch.manual_seed(1)
    layer = layer.double()
    if isinstance(layer, nn.BatchNorm2d):
        layer.running_mean.uniform_(-1, 1)
        layer.running_var.uniform_(0.5, 2)
        if layer.affine:
            # a negative scale swaps the ends
            layer.weight.data.copy_(torch.tensor([-2.0, 0.5]))
    middle = torch.randn(1, 2, 2, 2, dtype=torch.float64)
    radius = torch.rand(1, 2, 2, 2, dtype=torch.float64)
    signs = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=8)), dtype=torch.float64)
    answers = layer(middle + radius * signs.view(-1, 2, 2, 2))
    values = Interval(middle - radius, middle + radius)
    for part in layer if isinstance(layer, nn.Sequential) else [layer]:
        values = propagate(part, values)
    torch.testing.assert_close(values.lower[0], answers.amin(dim=0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(values.upper[0], answers.amax(dim=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.5])
def test_nothing_in_the_ball_goes_beyond_the_bounds(radius: float) -> None:
    net = convnet()
    x, labels = torch.rand(4, 1, 28, 28, dtype=torch.float64), torch.tensor([0, 3, 7, 9])
    ball = LinfBall(radius=radius)
    bounds = largest_margins(net, interval_of(ball, x), labels)
    generator = torch.Generator().manual_seed(0)
    points = [ball.sample(x, generator) for _ in range(20)]
    for rival in range(10):
        leaf = x.clone().requires_grad_()
        gradient = torch.autograd.grad(margins_at(net, leaf, labels)[:, rival].sum(), leaf)[0]
        points.append(x + ball.steepest_ascent(gradient, x))
    for point in points:
        assert bool((margins_at(net, point, labels) <= bounds + 1e-12).all())


def test_a_ball_without_size_bounds_nothing_away() -> None:
    net, labels = convnet(), torch.tensor([1, 2])
    x = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    found = largest_margins(net, Interval(x, x), labels)
    torch.testing.assert_close(found, margins_at(net, x, labels), rtol=1e-9, atol=1e-12)
    # without a linear layer at the end, logits are bounded one by one
    found = largest_margins(nn.Sequential(net, nn.Identity()), Interval(x, x), labels)
    torch.testing.assert_close(found, margins_at(net, x, labels), rtol=1e-9, atol=1e-12)


def test_an_unclipped_ball_reaches_beyond_the_box() -> None:
    x = torch.tensor([[[[0.0, 0.9]]]])
    inside = interval_of(LinfBall(radius=0.25), x)
    beyond = interval_of(LinfBall(radius=0.25, step="unclipped"), x)
    assert inside.lower.flatten().tolist() == pytest.approx([0, 0.65])
    assert inside.upper.flatten().tolist() == pytest.approx([0.25, 1])
    assert beyond.lower.flatten().tolist() == pytest.approx([-0.25, 0.65])
    assert beyond.upper.flatten().tolist() == pytest.approx([0.25, 1.15])


def test_layers_without_a_rule_are_named() -> None:
    x = Interval(torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32))
    with pytest.raises(InputError, match="of type AirbenchNet; known, in a row: Linear, Conv2d"):
        largest_margins(make_net("airbench"), x, torch.tensor([0]))
    with pytest.raises(InputError, match="of type GELU"):
        require_bounds(nn.Sequential(nn.Flatten(), nn.GELU()))
    with pytest.raises(InputError, match="batch normalisation has no bound in training"):
        require_bounds(make_net("mnist_convnet", input_batch_norm=True))
    with pytest.raises(InputError, match="eval mode only"):
        propagate(nn.BatchNorm2d(3), x)
    require_bounds(make_net("mnist_convnet"))


def test_certified_images_are_those_of_a_linear_net_whose_margin_is_wide_enough() -> None:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    images = torch.randint(60, 196, (40, 1, 4, 4), dtype=torch.uint8)
    labels = net(images.float() / 255).argmax(dim=1)
    labels[:5] = 1 - labels[:5]
    weight = (net[1].weight[1] - net[1].weight[0]).detach()
    margin = (net(images.float() / 255) @ torch.tensor([-1.0, 1.0])).detach()
    for radius in (0.001, 0.05, 0.2):
        # no pixel comes near the border of the box
        safe = (2 * labels - 1) * margin > radius * weight.abs().sum()
        for batch_size in (1, 7, 500):
            assert certified_accuracy(
                net, images, labels, LinfBall(radius=radius), batch_size=batch_size
            ) == pytest.approx(float(safe.float().mean()))
    assert net[1].weight.dtype == torch.float32
    with pytest.raises(InputError, match="no images"):
        certified_accuracy(net, images[:0], labels[:0], LinfBall(radius=0.1))
    with pytest.raises(InputError, match="labels are a list; they must be a tensor"):
        certified_accuracy(net, images, labels.tolist(), LinfBall(radius=0.1))


def test_a_bound_that_is_no_number_proves_nothing() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.Identity())
    nn.init.constant_(net[1].weight, float("nan"))
    images, labels = torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)
    assert certified_accuracy(net, images, labels, LinfBall(radius=0.1)) == 0


def test_training_on_the_bound_certifies_what_no_attack_then_breaks() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 4
    images = torch.randint(0, 60, (80, 1, 28, 28), dtype=torch.uint8, generator=generator)
    for row, label in enumerate(labels):
        images[row, 0, :, 7 * label : 7 * label + 7] += 150
    net = make_net("mnist_convnet")
    train(
        net,
        images,
        labels,
        objective=make_objective(
            "interval_bound",
            uncertainty_set=make_uncertainty_set("linf", radius=0.1),
            maximiser=make_maximiser(),
            alpha=0.0,
        ),
        recipe=Recipe(
            epochs=20,
            batch_size=8,
            optimiser={"name": "adam", "learning_rate": 0.001},
            radius_warmup=0.5,
        ),
        seed=0,
        evaluate=lambda net: 0.0,
    )
    ball = LinfBall(radius=0.1)
    certified = certified_accuracy(net, images, labels, ball)
    attacked = robust_accuracy(
        net, images, labels, Pgd(restarts=1), ball, seed=0, show_progress=False
    )
    assert certified > 0.95
    assert attacked.robust_accuracy >= certified
    untrained = make_net("mnist_convnet")
    assert certified_accuracy(untrained, images, labels, ball) == 0


class Louder(nn.Conv2d):
    """A convolution with a forward of its own, as weight standardisation is."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, 20 * self.weight, self.bias, padding=self.padding)


class Skipping(nn.Sequential):
    """Layers in a row, and a way around them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


def hooked(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda _, __, answer: 20 * answer)
    return layer


def replaced(layer: nn.Module) -> nn.Module:
    own = layer.forward
    layer.forward = lambda x: 20 * own(x)  # type: ignore[method-assign]
    return layer


@pytest.mark.parametrize(
    "odd",
    [
        replaced(nn.Conv2d(1, 1, 3, padding=1)),
        replaced(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))),
        Louder(1, 1, 3, padding=1),
        Skipping(nn.Conv2d(1, 1, 3, padding=1)),
        hooked(nn.Conv2d(1, 1, 3, padding=1)),
        hooked(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))),
        nn.BatchNorm2d(1, track_running_stats=False),
    ],
    ids=[
        "replaced",
        "replaced of a row",
        "own forward",
        "skip",
        "hook",
        "hook of a row",
        "statistics of a batch",
    ],
)
def test_what_computes_something_else_than_its_kind_has_no_bound(odd: nn.Module) -> None:
    net = nn.Sequential(odd, nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)).eval()
    assert not has_bounds(net)
    images, labels = torch.zeros(2, 1, 6, 6, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(InputError, match="no rule for a layer"):
        certified_accuracy(net, images, labels, LinfBall(radius=0.1))


def test_floats_are_not_divided_by_255_once_more() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(InputError, match=r"images are torch\.float32; they must be torch\.uint8"):
        certified_accuracy(net, torch.rand(3, 1, 2, 2), torch.zeros(3).long(), LinfBall(radius=0.1))


def test_a_smoothed_loss_has_no_bound() -> None:
    with pytest.raises(InputError, match=r"label_smoothing is 0\.1, set it to 0"):
        make_objective(
            "interval_bound",
            uncertainty_set=make_uncertainty_set("linf", radius=0.1),
            maximiser=make_maximiser(),
            label_smoothing=0.1,
        )


def test_only_an_linf_ball_and_the_nets_classes_are_certified() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    images = torch.randint(256, (4, 1, 3, 4), dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 0])
    with pytest.raises(InputError, match="interval bounds are of an l∞ ball, not of 'l2'"):
        certified_accuracy(net, images, labels, L2Ball(radius=0.1))
    ball = LinfBall(radius=0.1)
    small = certified_accuracy(net, images, labels.to(torch.uint8), ball)
    assert small == certified_accuracy(net, images, labels, ball)
    for wrong in (labels - 1, labels + 1, labels.double()):
        with pytest.raises(InputError, match="labels"):
            certified_accuracy(net, images, wrong, ball)
