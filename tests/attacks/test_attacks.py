"""Attacks on linear nets, where the robust accuracy is known in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from robustify.attacks import (
    ATTACKS,
    ApgdCrossEntropy,
    ApgdDlr,
    ApgdTargeted,
    Attack,
    AutoAttack,
    FabTargeted,
    Pgd,
    Square,
    make_attack,
    robust_accuracy,
    standard_attacks,
)
from robustify.attacks.base import ball_in_box
from robustify.attacks.evaluation import lies_inside
from robustify.errors import InputError
from robustify.uncertainty import NormBall, Point, make_uncertainty_set

from ..conftest import LinearNet
from .conftest import Problem

EXACT: dict[str, Attack] = {
    "pgd": Pgd(steps=100, restarts=2, relative_step=0.05),
    "apgd_ce": ApgdCrossEntropy(),
    "apgd_ce_wide": ApgdCrossEntropy(wider_balls_first=True),
    "fab_t": FabTargeted(),
}
TARGETED: dict[str, Attack] = {
    "apgd_t": ApgdTargeted(),
    "apgd_t_wide": ApgdTargeted(wider_balls_first=True),
    "fab_t": FabTargeted(),
    "autoattack": AutoAttack([ApgdCrossEntropy(), FabTargeted(), Square(queries=50)]),
}
EVERY: dict[str, Attack] = {
    "pgd": Pgd(steps=10, restarts=2),
    "apgd_ce": ApgdCrossEntropy(steps=20),
    "apgd_ce_wide": ApgdCrossEntropy(steps=20, wider_balls_first=True),
    "apgd_dlr": ApgdDlr(steps=20),
    "apgd_t": ApgdTargeted(steps=10, restarts=2, target_classes=2),
    "fab_t": FabTargeted(steps=10),
    "square": Square(queries=50),
    "autoattack": AutoAttack([ApgdTargeted(steps=5), Square(queries=20)]),
}


def standing(
    attack: Attack, problem: Problem, ball: NormBall, batch_size: int = 40
) -> torch.Tensor:
    result = robust_accuracy(
        problem.net, problem.images, problem.labels, attack, ball, batch_size=batch_size, seed=0
    )
    assert not any(result.rejected.values())
    return result.state.still_standing


def assert_solved(
    left: torch.Tensor, expected: torch.Tensor, attack: Attack, ball: NormBall
) -> None:
    """No robust image is broken, and every other one is."""
    assert left[expected].all()
    # l1-APGD misses one of these images, and the authors' code the same one: its steps stay long
    allowed = 2 if ball.name == "l1" and attack.name.startswith("apgd") else 0
    assert int((left & ~expected).sum()) <= allowed


@pytest.mark.parametrize("attack", EXACT.values(), ids=EXACT.keys())
def test_two_class_linear_nets_are_solved(
    attack: Attack, ball: NormBall, two_classes: Problem
) -> None:
    # with two classes the cross entropy falls with the lead, so its worst point is the exact one
    wider = ball_in_box(ball, scale=2.5)
    expected = two_classes.robust(wider)
    assert 20 < int(expected.sum()) < 37
    assert_solved(standing(attack, two_classes, wider), expected, attack, ball)


@pytest.mark.parametrize("attack", TARGETED.values(), ids=TARGETED.keys())
def test_five_class_linear_nets_are_solved(
    attack: Attack, ball: NormBall, five_classes: Problem
) -> None:
    expected = five_classes.robust(ball)
    assert 15 < int(expected.sum()) < 25
    assert_solved(standing(attack, five_classes, ball), expected, attack, ball)


@pytest.mark.parametrize("attack", EVERY.values(), ids=EVERY.keys())
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_no_attack_breaks_a_robust_image(
    attack: Attack, batch_size: int, ball: NormBall, five_classes: Problem
) -> None:
    some = Problem(five_classes.net, five_classes.images[:10], five_classes.labels[:10])
    left = standing(attack, some, ball, batch_size)
    assert left[some.robust(ball)].all()
    assert not left[:3].any(), "wrong without an attack"


@pytest.mark.parametrize("attack", EVERY.values(), ids=EVERY.keys())
@pytest.mark.parametrize("step", ["box_aware", "literal", "unclipped"])
def test_every_point_lies_in_ball_and_box(
    attack: Attack, step: str, ball: NormBall, five_classes: Problem, generator
) -> None:
    set_ = make_uncertainty_set(ball.name, radius=ball.radius, step=step)
    x = five_classes.x[:12]
    found = attack.run(five_classes.net, x, five_classes.labels[:12], set_, generator=generator)
    assert found.shape == x.shape
    assert not found.requires_grad
    assert lies_inside(found, x, ball).all()
    assert torch.equal(x, five_classes.x[:12]), "the clean images are left alone"


@pytest.mark.parametrize("attack", EVERY.values(), ids=EVERY.keys())
def test_a_seed_gives_the_same_points(
    attack: Attack, ball: NormBall, five_classes: Problem
) -> None:
    runs = [
        robust_accuracy(
            five_classes.net,
            five_classes.images[:12],
            five_classes.labels[:12],
            attack,
            ball,
            batch_size=5,
            seed=7,
        ).state
        for _ in range(2)
    ]
    assert torch.equal(runs[0].adversarial, runs[1].adversarial)
    assert torch.equal(runs[0].source, runs[1].source)


@pytest.mark.parametrize("attack", EVERY.values(), ids=EVERY.keys())
def test_a_net_without_gradient_breaks_no_attack(
    attack: Attack, ball: NormBall, constant_net: nn.Module, generator
) -> None:
    x, labels = torch.rand(4, 1, 6, 6), torch.zeros(4, dtype=torch.int64)
    found = attack.run(constant_net, x, labels, ball, generator=generator)
    assert lies_inside(found, x, ball).all()


class WithoutFirstSlope(nn.Module):
    """A net whose gradient is no number in the first pixel."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad:
            x = x.clone()
            x.register_hook(self._spoilt)
        return self.net(x)

    @staticmethod
    def _spoilt(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[:, 0, 0, 0] = torch.nan
        return gradient


@pytest.mark.parametrize("attack", EXACT.values(), ids=EXACT.keys())
def test_a_slope_that_is_no_number_counts_for_nothing(
    attack: Attack, ball: NormBall, two_classes: Problem
) -> None:
    chosen = (WithoutFirstSlope(two_classes.net), two_classes.images, two_classes.labels)
    found = robust_accuracy(*chosen, attack, ball, seed=0).state.still_standing
    margin = two_classes.worst_margin(ball, first_pixel_moves=False)
    decided = margin.abs() > 1e-4
    assert 0 < int(found.sum()) < len(found)
    assert torch.equal(found[decided], (margin > 0)[decided])


@pytest.mark.parametrize("attack", [FabTargeted(steps=5), Square(queries=5), Pgd(steps=3)])
def test_colour_images_that_are_not_square(attack: Attack, ball: NormBall, generator) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 7 * 11, 4)).eval()
    x = torch.rand(5, 3, 7, 11)
    labels = net(x).argmax(1)
    found = attack.run(net, x, labels, ball, generator=generator)
    assert lies_inside(found, x, ball).all()


def test_the_standard_version_for_each_norm() -> None:
    order = ["apgd_ce", "apgd_t", "fab_t", "square"]
    for norm in ("l1", "l2", "linf"):
        first, second, *rest = standard_attacks(make_uncertainty_set(norm, radius=1.0))
        assert [attack.name for attack in (first, second, *rest)] == order
        assert isinstance(first, ApgdCrossEntropy)
        assert isinstance(second, ApgdTargeted)
        is_l1 = norm == "l1"
        assert (first.restarts, second.target_classes) == ((5, 5) if is_l1 else (1, 9))
        assert first.wider_balls_first is second.wider_balls_first is is_l1


def test_wider_balls_take_the_published_shares_of_the_steps() -> None:
    assert ApgdCrossEntropy(wider_balls_first=True)._stages() == [(3, 30), (2, 30), (1, 40)]


def test_what_cannot_be_attacked_is_refused(two_classes: Problem, generator) -> None:
    chosen = (two_classes.net, two_classes.x, two_classes.labels)
    with pytest.raises(InputError, match="can't be attacked"):
        Pgd().run(*chosen, Point(), generator=generator)
    with pytest.raises(InputError, match="at least 4 classes; the net has 2"):
        ApgdTargeted().run(*chosen, make_uncertainty_set("l2", radius=0.1), generator=generator)


def test_bad_options_are_refused() -> None:
    assert set(ATTACKS) >= {"pgd", "apgd_ce", "apgd_t", "fab_t", "square", "autoattack"}
    for name, options, message in (
        ("fgsm", {}, "unknown; known: pgd"),
        ("pgd", {"steps": 0}, "steps is 0"),
        ("pgd", {"relative_step": 0.0}, "relative_step"),
        ("pgd", {"stepz": 1}, "stepz"),
        ("apgd_t", {"target_classes": 0}, "target_classes is 0"),
        ("fab_t", {"backward": 1.0}, "backward"),
        ("fab_t", {"overshoot": 0.5}, "overshoot"),
        ("square", {"queries": 0}, "queries is 0"),
        ("square", {"initial_share": 0.0}, "initial_share"),
    ):
        with pytest.raises(InputError, match=message):
            make_attack(name, **options)
    with pytest.raises(InputError, match="only once"):
        AutoAttack([Square(), Square()])
    with pytest.raises(InputError, match="attacks hold an AutoAttack"):
        AutoAttack([AutoAttack()])
    assert len(AutoAttack(attack for attack in (Square(),)).parts(Point())) == 1
    assert Pgd(steps=49, relative_step=1 / 49).steps == 49, "they just cross the ball"
    with pytest.raises(InputError, match="attacks hold 'pgd'; they must be attacks themselves"):
        make_attack("autoattack", attacks=["pgd"])


class _Edge(nn.Module):
    """The first class loses infinitely fast where the first pixel leaves the box, which it can't."""

    def __init__(self, net: LinearNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        edge = (1 - x[:, 0, 0, 0]).sqrt()
        return self.net(x) + edge[:, None] * torch.tensor([1.0, 0.0])


@pytest.mark.parametrize("attack", [Pgd(steps=20, random_start=False), ApgdCrossEntropy(steps=20)])
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_an_infinite_slope_out_of_the_box_hides_no_other(norm: str, attack: Attack) -> None:
    torch.manual_seed(0)
    net = LinearNet(16, 2)
    net.linear.weight.data[:, 0] = 0
    x = torch.rand(60, 1, 4, 4)
    x[:, 0, 0, 0] = 1
    images = (x * 255).round().to(torch.uint8)
    slope = net.linear.weight[1] - net.linear.weight[0]
    ball = make_uncertainty_set(norm, radius={"l1": 1.5, "l2": 0.6, "linf": 0.15}[norm])
    step = ball.steepest_ascent(slope.expand(60, -1).view_as(x), images.float() / 255)
    gain = step.flatten(1) @ slope
    net.linear.bias.data.zero_()
    net.linear.bias.data[1] = -((images.float() / 255).flatten(1) @ slope).mean() - gain.mean()
    lead = net(images.float() / 255) @ torch.tensor([1.0, -1.0])
    left = lead - gain
    chosen = (lead > 0.01) & (left.abs() > 0.01)
    assert (left[chosen] < 0).any()
    assert (left[chosen] > 0).any()
    labels = torch.zeros(len(images), dtype=torch.int64)
    found = robust_accuracy(_Edge(net), images[chosen], labels[chosen], attack, ball, seed=0)
    assert found.right[attack.name] == int((left[chosen] > 0).sum())
