"""How APGD sets its step sizes, on states made by hand (Croce and Hein, 2020, Section 3.2, and 2021 for l1)."""

from __future__ import annotations

import pytest
import torch

from robustify.attacks.apgd_search import Attacked, State, _Momentum, _Sparse
from robustify.attacks.base import Ascent
from robustify.uncertainty import L1Ball, LinfBall


def begun(search: _Momentum | _Sparse, images: int) -> State:
    """A climb that begins on images of ten pixels, one of which it has moved so far."""
    clean = torch.full((images, 1, 2, 5), 0.5)
    start = clean.clone()
    start[:, 0, 0, 0] = 0.6
    index = torch.arange(images)
    labels = torch.zeros(images, dtype=torch.int64)
    ascent = Ascent(torch.zeros(images, 2), torch.zeros(images), torch.ones_like(clean))
    return search.begin(Attacked(index, clean, labels, labels), start, ascent)


def test_checkpoints_come_where_the_paper_has_them() -> None:
    search = _Momentum(LinfBall(radius=0.1), steps=100, rho=0.75)
    state, found = begun(search, 1), []
    for step in range(1, 101):
        state.rises = torch.tensor([5.0])
        search.adapt(state, step)
        if state.rises.item() == 0:
            found.append(step)
    assert found == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize(
    ("rises", "halved"),
    [([16, 17, 22], [True, False, False]), ([0, 16.4, 16.6], [True, True, False])],
)
def test_steps_are_halved_where_too_few_of_them_raised_the_loss(
    rises: list[float], halved: list[bool]
) -> None:
    # three quarters of 22 steps are 16.5
    search = _Momentum(LinfBall(radius=0.1), steps=100, rho=0.75)
    state = begun(search, 3)
    state.rises, state.best_loss = torch.tensor(rises), torch.ones(3)
    search.adapt(state, 22)
    assert state.halved.tolist() == halved
    expected = [0.1 if half else 0.2 for half in halved]
    torch.testing.assert_close(state.step, torch.tensor(expected))


def test_exactly_the_share_is_too_few() -> None:
    search = _Momentum(LinfBall(radius=0.1), steps=100, rho=0.75)
    state = begun(search, 2)
    for step, loss in ((22, 1.0), (41, 2.0)):
        state.rises, state.best_loss = torch.full((2,), 22.0), torch.full((2,), loss)
        search.adapt(state, step)
    # three quarters of the sixteen steps of the third period are twelve
    state.rises, state.best_loss = torch.tensor([12.0, 13.0]), torch.full((2,), 3.0)
    search.adapt(state, 57)
    assert state.halved.tolist() == [True, False]


def test_a_loss_that_stays_halves_the_step_every_other_time_and_goes_back_to_the_best() -> None:
    search = _Momentum(LinfBall(radius=0.1), steps=100, rho=0.75)
    state, lengths = begun(search, 1), []
    state.best = state.point + 0.05
    for step in (22, 41, 57, 70):
        state.point = state.best + 0.01
        # each step raised the loss of the one before, but none came to the best
        state.rises = torch.tensor([22.0])
        search.adapt(state, step)
        lengths.append(round(state.step.item(), 6))
        back = lengths[-1] < ([0.2, *lengths])[-2]
        assert torch.equal(state.point, state.best) == back
    # the first checkpoint counts as after a halving
    assert lengths == [0.2, 0.1, 0.1, 0.05]


def test_l1_steps_are_long_again_where_fewer_pixels_do() -> None:
    search = _Sparse(L1Ball(radius=3.0), steps=100, sparse_start=False)
    state = begun(search, 2)
    # ten pixels at first; the first image's best has moved one of them, the second's all
    state.best = state.images.clean.clone()
    state.best[0, 0, 0, 0] = 0.7
    state.best[1] = 0.7
    state.step = torch.tensor([1.0, 1.0])
    search.adapt(state, 3)
    assert state.step.tolist() == [1.0, 1.0], "not between checkpoints, which come every four steps"
    search.adapt(state, 4)
    torch.testing.assert_close(state.step, torch.tensor([3.0, 1 / 1.5]))
    torch.testing.assert_close(state.share, torch.tensor([1 / 15, 10 / 15]))
    assert torch.equal(state.point[0], state.best[0])
    for step in range(8, 60, 4):
        search.adapt(state, step)
    # a tenth of the radius is the shortest
    torch.testing.assert_close(state.step, torch.tensor([0.3, 0.3]))
