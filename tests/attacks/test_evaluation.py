from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from robustify.attacks import (
    ApgdTargeted,
    Attack,
    AttackState,
    AutoAttack,
    FabTargeted,
    Pgd,
    Progress,
    Square,
    robust_accuracy,
)
from robustify.attacks.evaluation import lies_inside
from robustify.errors import InputError
from robustify.uncertainty import L1Ball, L2Ball, LinfBall, NormBall

from ..conftest import LinearNet
from .conftest import Problem, make_problem

BALL = LinfBall(radius=0.06)


class Boaster(Attack):
    """Returns the worst corner of a wider ball, or of the ball itself for every other image."""

    name = "boaster"

    def run(self, net, x, labels, uncertainty_set, *, generator):
        slope = net.linear.weight[(labels + 1) % 5] - net.linear.weight[labels]
        far = (x + 5 * uncertainty_set.radius * slope.sign().view_as(x)).clamp(0, 1)
        near = (x + uncertainty_set.radius * slope.sign().view_as(x)).clamp(0, 1)
        odd = torch.arange(len(x)) % 2 == 1
        return torch.where(odd[:, None, None, None], far, near).detach()


class Stepwise(AutoAttack):
    """Three quick attacks, weak enough to leave images to each other."""

    def __init__(self) -> None:
        super().__init__([Square(queries=3), ApgdTargeted(steps=3), FabTargeted(steps=10)])


def evaluate(problem: Problem, attack: Attack, ball: NormBall = BALL, **options):
    return robust_accuracy(
        problem.net, problem.images, problem.labels, attack, ball, seed=3, **options
    )


def test_points_outside_the_set_do_not_count(five_classes: Problem) -> None:
    result = evaluate(five_classes, Boaster(), batch_size=40)
    assert result.rejected["boaster"] > 0
    state = result.state
    x = five_classes.x
    assert lies_inside(state.adversarial, x[state.source], BALL).all()
    assert result.right["clean"] - result.right["boaster"] == len(state.source) > 0
    # the first three images aren't attacked, so those left in the ball have odd numbers
    assert (state.source % 2 == 1).all()


def test_every_example_is_wrong_as_stored_and_counted_once(
    ball: NormBall, five_classes: Problem
) -> None:
    result = evaluate(five_classes, Stepwise(), ball, batch_size=8)
    state = result.state
    net, labels = five_classes.net, five_classes.labels
    assert (net(state.adversarial).argmax(1) != labels[state.source]).all()
    assert lies_inside(state.adversarial, five_classes.x[state.source], ball).all()
    assert len(set(state.source.tolist())) == len(state.source)
    assert list(result.right) == ["clean", "square", "apgd_t", "fab_t"]
    counts = list(result.right.values())
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 37, "three labels are wrong from the start"
    assert result.clean_accuracy == 37 / 40
    assert result.robust_accuracy == counts[-1] / 40
    # broken by clean, by an attack, or standing: each image once
    assert int(state.still_standing.sum()) + len(state.source) + 3 == 40


def test_tolerances_of_ball_and_box() -> None:
    x = torch.full((4, 1, 1, 1), 0.01)
    ball = LinfBall(radius=0.05)
    moved = torch.tensor([0.06, 0.0601, -0.001, 0.0]).view(4, 1, 1, 1)
    assert lies_inside(moved, x, ball).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    "ball", [LinfBall(radius=0.5 / 255), L2Ball(radius=0.01), L1Ball(radius=0.05)]
)
def test_points_that_float32_rounded_off_a_small_ball_count(ball: NormBall, generator) -> None:
    x = torch.randint(0, 256, (200, 3, 8, 8), generator=generator).float() / 255
    moved = x + ball.steepest_ascent(torch.randn(x.shape, generator=generator), x)
    assert lies_inside(moved, x, ball).all()
    farther = x + ball.steepest_ascent(torch.randn(x.shape, generator=generator), x) * 1.01
    assert not lies_inside(farther, x, ball).any()


def test_an_interrupted_run_resumes_to_the_same_outcome(
    ball: NormBall, five_classes: Problem
) -> None:
    stored: list[AttackState] = []
    whole = evaluate(five_classes, Stepwise(), ball, batch_size=7, on_attack_end=stored.append)
    assert [len(state.standing) for state in stored] == [2, 3, 4]
    for state in stored:
        again: list[AttackState] = []
        resumed = evaluate(
            five_classes, Stepwise(), ball, batch_size=7, state=state, on_attack_end=again.append
        )
        assert len(again) == 4 - len(state.standing)
        assert resumed.right == whole.right
        assert torch.equal(resumed.state.adversarial, whole.state.adversarial)
        assert torch.equal(resumed.state.source, whole.state.source)


def test_a_state_of_something_else_is_refused(five_classes: Problem) -> None:
    state = evaluate(five_classes, Stepwise()).state
    for other, message in (
        (replace(state, seed=4), "seed"),
        (replace(state, radius=0.07), "0.07"),
        (replace(state, norm="l2"), "l2"),
        (replace(state, standing={"clean": torch.ones(39, dtype=torch.bool)}), "39"),
        (replace(state, standing={**state.standing, "pgd": state.still_standing}), "has run"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(five_classes, Stepwise(), state=other)


def test_a_state_of_weaker_attacks_is_refused(five_classes: Problem) -> None:
    weak = evaluate(five_classes, AutoAttack([Pgd(steps=1)])).state
    with pytest.raises(InputError, match=r"has run pgd with .*'steps': '1'.* has .*'steps': '9'"):
        evaluate(five_classes, AutoAttack([Pgd(steps=9)]), state=weak)


def test_a_state_of_other_images_that_are_as_right_is_refused(five_classes: Problem) -> None:
    state = evaluate(five_classes, Stepwise()).state
    images = five_classes.images.clone()
    images[0, 0, 0, 0] ^= 1
    moved = replace(five_classes, images=images)
    assert torch.equal(evaluate(moved, Stepwise()).state.standing["clean"], state.standing["clean"])
    with pytest.raises(InputError, match="another net, images or labels"):
        evaluate(moved, Stepwise(), state=state)


def test_a_state_of_another_net_or_of_other_labels_is_refused(five_classes: Problem) -> None:
    state = evaluate(five_classes, Stepwise()).state
    shifted = replace(five_classes, labels=(five_classes.labels + 1) % 5)
    other = replace(five_classes, net=LinearNet(36, 5).eval())
    for problem in (shifted, other):
        with pytest.raises(InputError, match="another net, images or labels"):
            evaluate(problem, Stepwise(), state=state)


@pytest.mark.parametrize("attack", [Pgd(steps=3), ApgdTargeted(steps=3), FabTargeted(steps=3)])
def test_attacks_without_gradients_are_refused_instead_of_flattering(
    five_classes: Problem, attack: Attack
) -> None:
    with torch.no_grad():
        assert evaluate(five_classes, attack).robust_accuracy < 1
    with torch.inference_mode(), pytest.raises(InputError, match=r"use torch\.no_grad"):
        evaluate(five_classes, attack)


def test_what_is_no_answer_an_image_is_refused_by_name(five_classes: Problem) -> None:
    class Answers(nn.Module):
        def __init__(self, change):
            super().__init__()
            self.honest, self.change = five_classes.net, change

        def forward(self, x):
            return self.change(self.honest(x))

    for change, complaint in (
        (lambda logits: (logits, logits), "output is a tuple; it must be a tensor"),
        (lambda logits: logits[:1], r"for 40 images has shape \(1, 5\)"),
        (lambda logits: logits.flatten(), r"for 40 images has shape \(200,\)"),
    ):
        with pytest.raises(InputError, match=complaint):
            robust_accuracy(
                Answers(change),
                five_classes.images,
                five_classes.labels,
                Pgd(steps=2),
                BALL,
                seed=0,
            )
    with pytest.raises(InputError, match=r"labels are torch\.float32"):
        robust_accuracy(
            five_classes.net,
            five_classes.images,
            five_classes.labels.float(),
            Pgd(steps=2),
            BALL,
            seed=0,
        )


def test_labels_may_be_whole_numbers_of_any_size(five_classes: Problem) -> None:
    found = [
        robust_accuracy(
            five_classes.net,
            five_classes.images,
            five_classes.labels.to(kind),
            attack,
            BALL,
            seed=0,
            show_progress=False,
        ).right
        for attack in (Pgd(steps=2), AutoAttack())
        for kind in (torch.int64, torch.int32, torch.uint8)
    ]
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4] == found[5]


def test_too_few_classes_are_told_before_the_first_attack(five_classes: Problem) -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = five_classes.net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)[:, :3]

    ran: list[AttackState] = []
    chosen = five_classes.labels < 3
    with pytest.raises(InputError, match="apgd_t needs at least 4 classes; the net has 3"):
        robust_accuracy(
            Three(),
            five_classes.images[chosen],
            five_classes.labels[chosen],
            AutoAttack(),
            BALL,
            seed=0,
            on_attack_end=ran.append,
        )
    assert not ran


def test_progress_counts_down(five_classes: Problem) -> None:
    seen: list[Progress] = []
    result = evaluate(five_classes, Stepwise(), batch_size=8, on_progress=seen.append)
    by_attack = {name: [p for p in seen if p.attack == name] for name in ("square", "apgd_t")}
    for name, steps in by_attack.items():
        assert [p.done for p in steps] == [*range(8, steps[0].total, 8), steps[0].total]
        assert steps[-1].standing == result.right[name]
    assert by_attack["square"][0].total == 37
    assert by_attack["apgd_t"][0].total == result.right["square"]


def test_modes_and_gradients_stay_as_they_were(five_classes: Problem) -> None:
    net = nn.Sequential(nn.Dropout(0.9), five_classes.net)
    net.train()
    problem = Problem(net, five_classes.images, five_classes.labels)  # type: ignore[arg-type]
    result = evaluate(problem, Stepwise())
    assert result.right["clean"] == 37, "measured in eval mode"
    assert net.training
    assert net[0].training
    assert all(weight.grad is None for weight in net.parameters())


def test_nothing_left_to_attack() -> None:
    problem = make_problem(classes=5)
    wrong = (problem.net(problem.x).argmax(1) + 1) % 5
    result = evaluate(Problem(problem.net, problem.images, wrong), Stepwise())
    assert set(result.right.values()) == {0}
    assert result.robust_accuracy == 0
    with pytest.raises(InputError, match="no images"):
        robust_accuracy(problem.net, problem.images[:0], wrong[:0], Stepwise(), BALL, seed=0)


def test_cached_labels_and_images_are_not_touched(five_classes: Problem) -> None:
    images, labels = five_classes.images.clone(), five_classes.labels.clone()
    evaluate(five_classes, Stepwise())
    assert torch.equal(images, five_classes.images)
    assert torch.equal(labels, five_classes.labels)
