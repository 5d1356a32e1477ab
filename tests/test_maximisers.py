from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from robustify.errors import InputError
from robustify.maximisers import ProjectedGradient, SteepestAscent, make_maximiser
from robustify.uncertainty import L2Ball, LinfBall, Point, make_uncertainty_set

from .conftest import LinearNet


def test_steepest_ascent_is_fgsm_for_linf(linear_net: LinearNet, generator) -> None:
    x, labels = torch.rand(3, 3, 2, 2), torch.tensor([0, 1, 2])
    worst = make_maximiser("steepest_ascent").maximise(
        linear_net, x, labels, make_uncertainty_set("linf", radius=0.1), generator=generator
    )
    expected = (x + 0.1 * linear_net.gradient_by_hand(x, labels).sign()).clamp(0, 1)
    torch.testing.assert_close(worst, expected)
    assert not worst.requires_grad


@pytest.mark.parametrize("name", ["steepest_ascent", "projected_gradient"])
def test_on_a_point_no_gradient_is_taken(name: str, generator) -> None:
    def never(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError

    x = torch.rand(2, 3)
    point = make_uncertainty_set("point")
    assert make_maximiser(name).maximise(never, x, None, point, generator=generator) is x


@pytest.mark.parametrize("steps", [1, 3])
def test_projected_gradient_takes_the_steps_written_out_by_hand(
    linear_net: LinearNet, steps: int, generator
) -> None:
    x, labels = torch.rand(3, 12), torch.tensor([0, 1, 2])
    worst = make_maximiser("projected_gradient", steps=steps, relative_step=0.4).maximise(
        linear_net, x, labels, make_uncertainty_set("linf", radius=0.2), generator=generator
    )
    expected = x
    for _ in range(steps):
        expected = expected + 0.4 * 0.2 * linear_net.gradient_by_hand(expected, labels).sign()
        expected = expected.clamp(x - 0.2, x + 0.2).clamp(0, 1)
    torch.testing.assert_close(worst, expected)


def test_a_random_start_is_drawn_from_the_set_by_the_generator(linear_net: LinearNet) -> None:
    x, labels = torch.rand(3, 12), torch.tensor([0, 1, 2])
    ball = make_uncertainty_set("linf", radius=0.2)
    maximiser = make_maximiser("projected_gradient", steps=1, relative_step=0.1, random_start=True)
    found = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        found.append(
            maximiser.maximise(
                linear_net, x, labels, ball, generator=torch.Generator().manual_seed(5)
            )
        )
    start = ball.sample(x, torch.Generator().manual_seed(5))
    expected = start + 0.1 * 0.2 * linear_net.gradient_by_hand(start, labels).sign()
    torch.testing.assert_close(found[0], expected.clamp(x - 0.2, x + 0.2).clamp(0, 1))
    assert torch.equal(*found)


def test_defaults_are_the_documented_ones() -> None:
    assert make_maximiser().name == "steepest_ascent"
    maximiser = make_maximiser("projected_gradient")
    assert (maximiser.steps, maximiser.relative_step, maximiser.random_start) == (10, 0.25, False)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("random_start", [False, True])
def test_projected_gradient_finds_a_two_class_linear_nets_optimum(
    norm: str, random_start: bool, generator
) -> None:
    # with two classes the loss falls with the margin, so the worst point is that of a linear function
    torch.manual_seed(1)
    net = LinearNet(12, 2)
    x, labels = torch.rand(5, 12), torch.tensor([0, 1, 0, 1, 1])
    ball = make_uncertainty_set(norm, radius=0.5)
    maximiser = make_maximiser(
        "projected_gradient", steps=300, relative_step=0.02, random_start=random_start
    )
    worst = maximiser.maximise(net, x, labels, ball, generator=generator)
    slope = (net.linear.weight[1] - net.linear.weight[0]).detach()
    direction = torch.where(labels[:, None] == 0, slope, -slope)
    optimum = x + ball.steepest_ascent(direction, x)
    torch.testing.assert_close(
        (direction * worst).sum(1), (direction * optimum).sum(1), atol=4e-3, rtol=0
    )


def test_restarts_keep_each_examples_greatest_loss(generator: torch.Generator) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 30), nn.Tanh(), nn.Linear(30, 4))
    with torch.no_grad():
        net[0].weight.mul_(20)
    x, labels = torch.rand(16, 12), torch.arange(16) % 4
    ball = make_uncertainty_set("linf", radius=0.2)

    def losses(restarts: int) -> torch.Tensor:
        generator.manual_seed(0)
        maximiser = make_maximiser("projected_gradient", steps=3, restarts=restarts)
        worst = maximiser.maximise(net, x, labels, ball, generator=generator)
        assert ((worst - x).abs() <= 0.2 + 1e-6).all()
        return functional.cross_entropy(net(worst), labels, reduction="none").detach()

    found = {restarts: losses(restarts) for restarts in (1, 2, 6)}
    assert (found[2] >= found[1]).all()
    assert (found[6] >= found[2]).all()
    assert (found[6] > found[1]).sum() >= 3
    with pytest.raises(InputError, match="restarts is 0"):
        make_maximiser("projected_gradient", restarts=0)


@pytest.mark.parametrize(
    ("restarts", "random_start", "draws"),
    [(1, False, 0), (1, True, 1), (2, False, 1), (4, True, 4)],
)
def test_every_start_after_the_first_is_drawn_once(
    linear_net: LinearNet, generator, restarts: int, random_start: bool, draws: int
) -> None:
    class Counting(LinfBall):
        drawn = 0

        def sample(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            self.drawn += 1
            return super().sample(x, generator)

    ball = Counting(radius=0.1)
    make_maximiser(
        "projected_gradient", steps=1, restarts=restarts, random_start=random_start
    ).maximise(linear_net, torch.rand(2, 3, 2, 2), torch.tensor([0, 1]), ball, generator=generator)
    assert ball.drawn == draws


def test_of_ends_with_the_same_loss_the_first_is_kept(linear_net: LinearNet, generator) -> None:
    # without weights every input has the same loss, and no step is taken: the first start stays
    nn.init.zeros_(linear_net.linear.weight)
    x, labels = torch.rand(3, 3, 2, 2), torch.tensor([0, 1, 2])
    worst = make_maximiser("projected_gradient", restarts=3).maximise(
        linear_net, x, labels, make_uncertainty_set("linf", radius=0.1), generator=generator
    )
    assert torch.equal(worst, x)


def test_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match=r"'steepest_ascent' with options .*step"):
        make_maximiser("steepest_ascent", steps=3)
    with pytest.raises(InputError, match="steepest_ascent, projected_gradient"):
        make_maximiser("fgsm")
    with pytest.raises(InputError, match="steps is 0"):
        make_maximiser("projected_gradient", steps=0)
    with pytest.raises(InputError, match="relative_step"):
        make_maximiser("projected_gradient", relative_step=0.0)
    with pytest.raises(InputError, match="relative_step is inf; it must be in"):
        make_maximiser("projected_gradient", relative_step=float("inf"))
    with pytest.raises(InputError, match=r"relative_step is .0\.1.; it must be in"):
        make_maximiser("projected_gradient", relative_step="0.1")


@pytest.mark.parametrize("uncertainty_set", [Point(), L2Ball(radius=0.5), LinfBall(radius=0.1)])
@pytest.mark.parametrize("maximiser", [SteepestAscent(), ProjectedGradient(steps=2, restarts=2)])
def test_the_worst_input_hangs_on_no_graph(
    linear_net, generator, uncertainty_set, maximiser
) -> None:
    x = torch.rand(4, 3, 2, 2, generator=generator).requires_grad_(True)
    labels = torch.tensor([0, 1, 2, 3])
    worst = maximiser.maximise(linear_net, x, labels, uncertainty_set, generator=generator)
    assert not worst.requires_grad


@pytest.mark.parametrize("count", [0, 1.5, True, "3"])
def test_counts_that_are_no_whole_numbers_are_refused(count: object) -> None:
    with pytest.raises(InputError, match=f"steps is {count!r}; it must be a whole number"):
        ProjectedGradient(steps=count)
