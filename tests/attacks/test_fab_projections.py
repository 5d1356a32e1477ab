"""FAB's projections against linear and convex programs solved by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize

from robustify.attacks.fab import PROJECTIONS
from robustify.uncertainty import perturbation_norm

NORMS = ["l1", "l2", "linf"]


def least_norm(norm: str, x: np.ndarray, slope: np.ndarray, rise: float) -> float:
    """Least norm of d with slope·d = rise and 0 ≤ x + d ≤ 1."""
    n = len(x)
    if norm == "l2":
        start = np.linalg.lstsq(slope[None], [rise], rcond=None)[0]
        solved = minimize(
            lambda d: d @ d,
            start,
            jac=lambda d: 2 * d,
            bounds=list(zip(-x, 1 - x, strict=True)),
            constraints={"type": "eq", "fun": lambda d: slope @ d - rise, "jac": lambda d: slope},
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert solved.success
        return float(np.sqrt(solved.fun))
    # |d| is bounded by auxiliary variables: one a pixel for l1, one in all for l∞
    auxiliary = n if norm == "l1" else 1
    bound = np.eye(n) if norm == "l1" else np.ones((n, 1))
    solved = linprog(
        np.r_[np.zeros(n), np.ones(auxiliary)],
        A_ub=np.block([[np.eye(n), -bound], [-np.eye(n), -bound]]),
        b_ub=np.zeros(2 * n),
        A_eq=np.r_[slope, np.zeros(auxiliary)][None],
        b_eq=[rise],
        bounds=[*zip(-x, 1 - x, strict=True), *[(0, None)] * auxiliary],
    )
    assert solved.success
    return float(solved.fun)


def problem(count: int = 20) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Reachable rises and falls, over points with some pixels at the bounds and some slopes of 0."""
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand((count, 2, 2, 3), generator=generator) * 1.6 - 0.3).clamp(0, 1)
    slope = torch.randn(x.shape, generator=generator)
    slope[:, 0, 0, 0] = 0
    up = torch.where(slope > 0, slope * (1 - x), -slope * x).flatten(1).sum(1)
    down = torch.where(slope < 0, slope * (1 - x), -slope * x).flatten(1).sum(1)
    share = torch.rand(count, generator=generator) * 0.95
    return x, slope, share * torch.where(torch.arange(count) % 2 == 0, up, down)


@pytest.mark.parametrize("norm", NORMS)
def test_projection_has_the_least_norm(norm: str) -> None:
    x, slope, rise = problem()
    moved = PROJECTIONS[norm](x, slope, rise)
    torch.testing.assert_close((slope * moved).flatten(1).sum(1), rise, atol=1e-5, rtol=0)
    assert (x + moved).min() >= -1e-6
    assert (x + moved).max() <= 1 + 1e-6
    expected = [
        least_norm(norm, *pair, float(r))
        for *pair, r in zip(x.flatten(1).numpy(), slope.flatten(1).numpy(), rise, strict=True)
    ]
    torch.testing.assert_close(
        perturbation_norm(norm, moved), torch.tensor(expected), atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("norm", NORMS)
def test_out_of_reach_goes_as_far_as_the_box(norm: str) -> None:
    x, slope, _ = problem()
    far = PROJECTIONS[norm](x, slope, torch.full((len(x),), 1e6))
    corner = torch.where(slope > 0, torch.ones_like(x), torch.zeros_like(x))
    expected = torch.where(slope == 0, x, corner)
    torch.testing.assert_close(x + far, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_nothing_to_do_moves_nothing(norm: str) -> None:
    x, slope, rise = problem(4)
    assert (PROJECTIONS[norm](x, slope, torch.zeros(4)) == 0).all()
    assert (PROJECTIONS[norm](x, torch.zeros_like(slope), rise) == 0).all()


@pytest.mark.parametrize("norm", NORMS)
def test_tiny_slopes_give_the_same_point(norm: str) -> None:
    x, slope, rise = problem()
    torch.testing.assert_close(
        PROJECTIONS[norm](x, slope * 1e-30, rise * 1e-30),
        PROJECTIONS[norm](x, slope, rise),
        atol=1e-5,
        rtol=0,
    )
