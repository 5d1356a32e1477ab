"""AutoAttack here and its authors' own code (github.com/fra31/auto-attack) leave the same images standing."""

from __future__ import annotations

import json

import pytest
import torch

from robustify.attacks import Attack, AutoAttack, robust_accuracy, standard_attacks
from robustify.uncertainty import NormBall, make_uncertainty_set

from .small_net import EXPECTED, small_net

EXPECTATIONS = json.loads(EXPECTED.read_text())
COUNT = EXPECTATIONS["images"]
THREE_TENTHS_OF_A_POINT = 0.003


def ball_of(setting: str) -> NormBall:
    norm, radius = setting.split("=")
    ball = make_uncertainty_set(norm, radius=float(radius))
    assert isinstance(ball, NormBall)
    return ball


def left_standing(real_mnist, attack: Attack, ball: NormBall) -> torch.Tensor:
    return robust_accuracy(
        small_net(),
        real_mnist.tensors["test_images"][:COUNT],
        real_mnist.tensors["test_labels"][:COUNT].long(),
        attack,
        ball,
        batch_size=COUNT,
        seed=0,
        show_progress=False,
    ).state.still_standing


def left_by_the_authors(setting: str, name: str) -> torch.Tensor:
    theirs = torch.zeros(COUNT, dtype=torch.bool)
    theirs[EXPECTATIONS["standing"][setting][name]] = True
    # neither all nor none: the attacks must have something to find and something to miss
    assert 0.1 < theirs.float().mean() < 0.9
    return theirs


@pytest.mark.parametrize("setting", EXPECTATIONS["standing"])
def test_as_many_images_stand_as_under_the_authors_code(setting: str, real_mnist) -> None:
    theirs = left_by_the_authors(setting, "all")
    mine = left_standing(real_mnist, AutoAttack(), ball_of(setting))
    # of so few images a single one is more than that
    allowed = max(1, int(THREE_TENTHS_OF_A_POINT * COUNT))
    assert abs(int(mine.sum()) - int(theirs.sum())) <= allowed
    # nearly the same images, not only as many: both draw lots, and some images stand on the edge
    assert int((mine != theirs).sum()) <= 0.02 * COUNT


@pytest.mark.parametrize("name", ["fab_t", "square"])
@pytest.mark.parametrize("setting", ["linf=0.14", "l2=1.5"])
def test_the_last_attacks_by_themselves_leave_what_the_authors_leave(
    setting: str, name: str, real_mnist
) -> None:
    # in a row, they would hide behind those before them if they were weak
    ball = ball_of(setting)
    theirs = left_by_the_authors(setting, name)
    (attack,) = (part for part in standard_attacks(ball) if part.name == name)
    mine = left_standing(real_mnist, attack, ball)
    # what one attack misses by chance no other one finds here
    assert abs(int(mine.sum()) - int(theirs.sum())) <= 0.01 * COUNT
    assert int((mine != theirs).sum()) <= 0.05 * COUNT
