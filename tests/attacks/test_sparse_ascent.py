"""Steps of PGD in l1, which move more than one value."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robustify.attacks import Pgd, robust_accuracy
from robustify.attacks.sparse_ascent import spread_step, values_moved
from robustify.uncertainty import make_uncertainty_set


@pytest.mark.parametrize("values", [1, 3, 12])
def test_the_values_of_largest_gradient_that_can_move_move_equally(
    values: int, generator: torch.Generator
) -> None:
    gradient = torch.randn((40, 3, 2, 2), generator=generator)
    gradient[0] = 0
    gradient[1, 0, 0, 0] = torch.nan
    x = (torch.rand((40, 3, 2, 2), generator=generator) * 1.6 - 0.3).clamp(0, 1)
    step = spread_step(gradient, x, length=0.6, values=values)
    for slopes, image, moved in zip(
        gradient.flatten(1).tolist(), x.flatten(1).tolist(), step.flatten(1).tolist(), strict=True
    ):
        free = [
            place
            for place, (slope, value) in enumerate(zip(slopes, image, strict=True))
            if (slope > 0 and value < 1) or (slope < 0 and value > 0)
        ]
        expected = [0.0] * 12
        for place in sorted(free, key=lambda place: -abs(slopes[place]))[:values]:
            expected[place] = 0.6 / values if slopes[place] > 0 else -0.6 / values
        assert moved == pytest.approx(expected)


def test_steps_begin_with_a_twentieth_of_the_values_and_end_with_one() -> None:
    counts = [values_moved(step, steps=20, dimensions=3072) for step in range(20)]
    assert (counts[0], counts[-1]) == (154, 1)
    # by the same factor each time: half of the way down is the root
    assert values_moved(10, steps=21, dimensions=2000) == 10
    assert counts == sorted(counts, reverse=True)
    assert values_moved(0, steps=1, dimensions=3072) == 1
    assert values_moved(0, steps=5, dimensions=4) == 1


class Saturated(nn.Module):
    """Says 1 once more than 30 of 400 values have risen by 0.02; what a value rises further counts for nothing."""

    # just below the images' values, so that the clamp has a slope there
    base = 127.999 / 255

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        risen = ((x - self.base) / 0.02).clamp(0, 1).flatten(1).sum(1, keepdim=True)
        return torch.cat([torch.full_like(risen, 30.5), risen], dim=1) - 10.0


def test_a_net_that_needs_many_small_changes_is_broken() -> None:
    images = torch.full((3, 1, 20, 20), 128, dtype=torch.uint8)
    labels = torch.zeros(3, dtype=torch.int64)
    left = {}
    # 31 values by 0.02 are an l1 norm of 0.62, just fewer than 31 of 0.6
    for radius in (1.0, 0.6):
        for steps, relative_step in ((20, 0.125), (50, 0.05)):
            attack = Pgd(steps=steps, restarts=1, relative_step=relative_step, random_start=False)
            ball = make_uncertainty_set("l1", radius=radius)
            found = robust_accuracy(Saturated(), images, labels, attack, ball, seed=0)
            left[radius, steps] = found.robust_accuracy
    assert left == {(1.0, 20): 0.0, (1.0, 50): 0.0, (0.6, 20): 1.0, (0.6, 50): 1.0}


@pytest.mark.parametrize("restarts", [1, 2])
def test_a_linear_net_of_many_values_is_solved_as_well(restarts: int) -> None:
    # one value counts far more than all others, and steps on single values go straight for it
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 2)).eval()
    images = torch.full((20, 1, 28, 28), 128, dtype=torch.uint8)
    labels = torch.zeros(20, dtype=torch.int64)
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([torch.zeros(784), torch.full((784,), 0.1)]))
        net[1].weight[1, 37] = 1.0
        net[1].bias.copy_(torch.tensor([0.0, -(1 + 783 * 0.1) * 128 / 255 - 0.29]))
    for radius, left in ((0.3, 0.0), (0.28, 1.0)):
        attack = Pgd(steps=20, restarts=restarts, relative_step=0.125)
        ball = make_uncertainty_set("l1", radius=radius)
        found = robust_accuracy(net, images, labels, attack, ball, seed=0)
        assert found.robust_accuracy == left
