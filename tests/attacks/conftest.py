from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from robustify.uncertainty import NormBall, UncertaintySet, make_uncertainty_set
from tests.conftest import LinearNet

# radii at which about half of the linear problem's images are robust
RADII = {"l1": 0.6, "l2": 0.25, "linf": 0.06}


@dataclass(frozen=True)
class Problem:
    """A linear net, on which the worst point of ball ∩ box is known, and images for it."""

    net: LinearNet
    images: torch.Tensor
    labels: torch.Tensor

    @property
    def x(self) -> torch.Tensor:
        return self.images.float() / 255

    def robust(self, uncertainty_set: UncertaintySet) -> torch.Tensor:
        """Return which images no point of the set makes the net get wrong, bool, (N,)."""
        return self.worst_margin(uncertainty_set) > 0

    def worst_margin(
        self, uncertainty_set: UncertaintySet, *, first_pixel_moves: bool = True
    ) -> torch.Tensor:
        """Least lead of the true class over any other one in ball ∩ box, (N,).

        The lead over one class is linear, so steepest ascent within the box is its exact worst.
        """
        x, weight = self.x, self.net.linear.weight.detach()
        logits = self.net(x).detach()
        leads = []
        for target in range(len(weight)):
            slope = (weight[target] - weight[self.labels]).view_as(x)
            slope[:, 0, 0, 0] *= first_pixel_moves
            worst = (slope * uncertainty_set.steepest_ascent(slope, x)).flatten(1).sum(1)
            lead = logits.gather(1, self.labels[:, None])[:, 0] - logits[:, target] - worst
            leads.append(torch.where(self.labels == target, torch.inf, lead))
        return torch.stack(leads).amin(0)


def make_problem(
    *, classes: int, count: int = 40, size: tuple[int, int, int] = (1, 6, 6)
) -> Problem:
    """Images that the net mostly has right, many pixels at the bounds of the box."""
    generator = torch.Generator().manual_seed(classes)
    torch.manual_seed(classes)
    net = LinearNet(size[0] * size[1] * size[2], classes).eval()
    x = (torch.rand((count, *size), generator=generator) * 1.6 - 0.3).clamp(0, 1)
    images = (x * 255).round().to(torch.uint8)
    labels = net(images.float() / 255).argmax(1)
    labels[:3] = (labels[:3] + 1) % classes
    return Problem(net, images, labels)


@pytest.fixture(params=["l1", "l2", "linf"])
def ball(request) -> NormBall:
    made = make_uncertainty_set(request.param, radius=RADII[request.param])
    assert isinstance(made, NormBall)
    return made


@pytest.fixture
def two_classes() -> Problem:
    return make_problem(classes=2)


@pytest.fixture
def five_classes() -> Problem:
    return make_problem(classes=5)


class Constant(nn.Module):
    """A net that says class 0 whatever it sees, without a useful gradient."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.linspace(1, 0, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias + 0 * x.flatten(1)[:, :1]


@pytest.fixture
def constant_net() -> Constant:
    return Constant(5).eval()
