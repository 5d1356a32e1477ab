from __future__ import annotations

import pytest
import torch

from robustify.attacks import Square
from robustify.attacks.evaluation import lies_inside
from robustify.attacks.square import bump, patch_share
from robustify.uncertainty import LinfBall, NormBall

from .conftest import Problem


def test_patches_shrink_after_the_published_numbers_of_queries() -> None:
    shares = {0: 1, 10: 1, 11: 2, 51: 4, 201: 8, 501: 16, 1001: 32, 2001: 64, 4001: 128, 9000: 512}
    assert {query: 0.8 / patch_share(query, 0.8) for query in shares} == shares


def test_a_bump_of_three_by_hand() -> None:
    # one row above: rings of 1/1² and 1/2² give .25, 1.25, .25; both hills have norm 1 before they join
    upper = torch.tensor([[0.25, 1.25, 0.25]])
    lower = torch.tensor([[0.25, 0.25, 0.25], [0.25, 1.25, 0.25]])
    expected = torch.cat([upper / upper.norm(), -lower / lower.norm()])
    torch.testing.assert_close(bump(3, 2, 2), expected / 2**0.5)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 25])
@pytest.mark.parametrize(("decay", "order"), [(4, 1), (2, 2)])
def test_bumps_have_norm_one(side: int, decay: int, order: int) -> None:
    assert float(bump(side, decay, order).norm(p=order)) == pytest.approx(1)


class Coarse(torch.nn.Module):
    """Two classes in whole steps of the mean: gray images are a tie, which goes to the first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        second = (10 * (x.flatten(1).mean(dim=1) - 0.5)).floor()
        return torch.stack([torch.zeros_like(second), second], dim=1)


def test_a_tie_that_counts_as_right_ends_no_search(generator) -> None:
    gray = torch.full((4, 1, 6, 6), 0.5)
    labels = torch.zeros(4, dtype=torch.int64)
    assert (Coarse()(gray).argmax(dim=1) == labels).all()
    found = Square(queries=300).run(
        Coarse(), gray, labels, LinfBall(radius=0.3), generator=generator
    )
    assert (Coarse()(found).argmax(dim=1) == 1).all()


def test_no_gradient_is_asked_for(ball: NormBall, five_classes: Problem, generator) -> None:
    net = five_classes.net
    with torch.inference_mode():
        found = Square(queries=20).run(
            net, five_classes.x, five_classes.labels, ball, generator=generator
        )
    assert lies_inside(found, five_classes.x, ball).all()


def test_more_queries_never_break_fewer(ball: NormBall, five_classes: Problem) -> None:
    standing = []
    for queries in (1, 20, 200):
        generator = torch.Generator().manual_seed(0)
        found = Square(queries=queries).run(
            five_classes.net, five_classes.x, five_classes.labels, ball, generator=generator
        )
        standing.append(int((five_classes.net(found).argmax(1) == five_classes.labels).sum()))
    assert standing == sorted(standing, reverse=True)
    assert standing[-1] < standing[0]
