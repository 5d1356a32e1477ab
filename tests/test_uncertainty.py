from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from robustify.errors import InputError
from robustify.uncertainty import Point, make_uncertainty_set, perturbation_norm

NORMS = ("l1", "l2", "linf")
RADII = {"l1": 0.9, "l2": 0.6, "linf": 0.15}


def images_and_gradient(batch: int, dimensions: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, dimensions, generator=generator)
    # a third of the pixels lies on a border, as in real images
    x = torch.where(torch.rand(x.shape, generator=generator) < 0.2, torch.zeros(()), x)
    x = torch.where(torch.rand(x.shape, generator=generator) < 0.15, torch.ones(()), x)
    return x, torch.randn(batch, dimensions, generator=generator)


def linear_programme_l1(gradient: np.ndarray, x: np.ndarray, radius: float) -> float:
    """Maximum of <gradient, p - m> over p, m >= 0, sum(p + m) <= radius, x + p - m in the box."""
    d = len(x)
    solution = linprog(
        np.concatenate([-gradient, gradient]),
        A_ub=np.ones((1, 2 * d)),
        b_ub=[radius],
        bounds=[(0, 1 - v) for v in x] + [(0, v) for v in x],
        method="highs",
    )
    return -solution.fun


def bisection_l2(gradient: np.ndarray, x: np.ndarray, radius: float) -> np.ndarray:
    """Clip(λ g) to the box, λ found by bisection on the norm."""

    def at(multiplier: float) -> np.ndarray:
        return np.clip(multiplier * gradient, -x, 1 - x)

    low, high = 0.0, 1e12
    if np.linalg.norm(at(high)) <= radius:
        return at(high)
    for _ in range(300):
        middle = (low + high) / 2
        low, high = (middle, high) if np.linalg.norm(at(middle)) < radius else (low, middle)
    return at(low)


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("radius", [0.1, 0.9, 3.0, 50.0])
def test_l1_step_reaches_the_linear_programmes_optimum(batch: int, radius: float) -> None:
    x, gradient = images_and_gradient(batch, 24)
    step = make_uncertainty_set("l1", radius=radius).steepest_ascent(gradient, x)
    assert perturbation_norm("l1", step).max() <= radius + 1e-5
    assert ((x + step) >= -1e-6).all()
    assert ((x + step) <= 1 + 1e-6).all()
    for i in range(batch):
        optimum = linear_programme_l1(gradient[i].double().numpy(), x[i].double().numpy(), radius)
        assert float(gradient[i] @ step[i]) == pytest.approx(optimum, rel=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("radius", [0.05, 0.6, 2.0, 50.0])
@pytest.mark.parametrize("scale", [1.0, 1e-25])
def test_l2_step_is_the_one_found_by_bisection(batch: int, radius: float, scale: float) -> None:
    x, gradient = images_and_gradient(batch, 24)
    step = make_uncertainty_set("l2", radius=radius).steepest_ascent(gradient * scale, x)
    for i in range(batch):
        expected = bisection_l2(gradient[i].double().numpy(), x[i].double().numpy(), radius)
        np.testing.assert_allclose(step[i].numpy(), expected, atol=2e-6)


def test_linf_step_is_the_best_corner() -> None:
    x, gradient = images_and_gradient(1, 6)
    radius = 0.3
    step = make_uncertainty_set("linf", radius=radius).steepest_ascent(gradient, x)
    corners = torch.cartesian_prod(*[torch.tensor([-radius, 0.0, radius])] * 6)
    reachable = (x + corners).clamp(0, 1) - x
    assert float((gradient * step).sum()) == pytest.approx(
        float((reachable @ gradient[0]).max()), rel=1e-6
    )


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("step", ["box_aware", "literal", "unclipped"])
def test_zero_gradient_moves_nothing(norm: str, step: str) -> None:
    x, _ = images_and_gradient(3, 10)
    ball = make_uncertainty_set(norm, radius=RADII[norm], step=step)
    assert torch.equal(ball.steepest_ascent(torch.zeros_like(x), x), torch.zeros_like(x))


def test_a_tie_goes_to_the_lowest_index() -> None:
    x = torch.full((1, 40), 0.5)
    gradient = torch.ones(1, 40)
    for step in ("box_aware", "literal", "unclipped"):
        moved = make_uncertainty_set("l1", radius=0.4, step=step).steepest_ascent(gradient, x)
        assert moved.nonzero().tolist() == [[0, 0]]


def test_saturated_pixels_waste_the_literal_l1_step_but_not_the_box_aware_one() -> None:
    x = torch.tensor([[1.0, 0.5, 0.2]])
    gradient = torch.tensor([[5.0, -3.0, 1.0]])
    literal = make_uncertainty_set("l1", radius=0.7, step="literal").steepest_ascent(gradient, x)
    aware = make_uncertainty_set("l1", radius=0.7).steepest_ascent(gradient, x)
    unclipped = make_uncertainty_set("l1", radius=0.7, step="unclipped").steepest_ascent(
        gradient, x
    )
    assert literal.tolist() == [[0, 0, 0]]
    torch.testing.assert_close(aware, torch.tensor([[0.0, -0.5, 0.2]]))
    torch.testing.assert_close(unclipped, torch.tensor([[0.7, 0.0, 0.0]]))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("step", ["box_aware", "literal", "unclipped"])
def test_examples_do_not_depend_on_their_batch(norm: str, step: str) -> None:
    x, gradient = images_and_gradient(8, 200)
    ball = make_uncertainty_set(norm, radius=RADII[norm], step=step)
    together = ball.steepest_ascent(gradient, x)
    for size in (1, 3):
        apart = [
            ball.steepest_ascent(g, v)
            for g, v in zip(gradient.split(size), x.split(size), strict=True)
        ]
        assert torch.equal(together, torch.cat(apart))


@pytest.mark.parametrize("norm", NORMS)
def test_unclipped_step_has_the_norm_of_its_length(norm: str) -> None:
    x, gradient = images_and_gradient(5, 30)
    ball = make_uncertainty_set(norm, radius=RADII[norm], step="unclipped")
    for length in (None, 0.01):
        norms = perturbation_norm(norm, ball.steepest_ascent(gradient, x, length))
        torch.testing.assert_close(norms, torch.full((5,), length or RADII[norm]))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("reach", [0.05, 0.5, 3.0])
def test_projection_is_the_nearest_point(norm: str, reach: float) -> None:
    x, direction = images_and_gradient(4, 6, seed=3)
    candidate = x + reach * direction
    projected = make_uncertainty_set(norm, radius=RADII[norm]).project(candidate, x)
    assert perturbation_norm(norm, projected - x).max() <= RADII[norm] + 1e-5
    for i in range(4):
        expected = nearest_point(norm, candidate[i].double().numpy(), x[i].double().numpy())
        np.testing.assert_allclose(projected[i].numpy(), expected, atol=2e-4)


def nearest_point(norm: str, candidate: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Nearest point of ball ∩ box by a general solver, p and m the positive and negative parts."""
    d, radius = len(x), RADII[norm]
    if norm == "linf":
        return np.clip(candidate, np.maximum(x - radius, 0), np.minimum(x + radius, 1))
    offset = candidate - x

    def slack(z: np.ndarray) -> float:
        p, m = z[:d], z[d:]
        return radius - (p + m).sum() if norm == "l1" else radius**2 - ((p - m) ** 2).sum()

    solution = minimize(
        lambda z: ((z[:d] - z[d:] - offset) ** 2).sum(),
        np.full(2 * d, 1e-3),
        bounds=[(0, 1 - v) for v in x] + [(0, v) for v in x],
        constraints=[{"type": "ineq", "fun": slack}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    return x + solution.x[:d] - solution.x[d:]


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), radius=st.floats(0.01, 5))
def test_samples_and_steps_stay_in_the_set(norm: str, seed: int, radius: float) -> None:
    x, gradient = images_and_gradient(3, 20, seed)
    ball = make_uncertainty_set(norm, radius=radius)
    for point in (
        ball.sample(x, torch.Generator().manual_seed(seed)),
        x + ball.steepest_ascent(gradient, x),
    ):
        assert perturbation_norm(norm, point - x).max() <= radius * (1 + 1e-4)
        assert point.min() >= -1e-6
        assert point.max() <= 1 + 1e-6


def test_samples_fill_the_l1_ball_evenly() -> None:
    # in two dimensions a quarter of the l1 ball lies within half its radius
    x = torch.full((20000, 2), 0.5)
    ball = make_uncertainty_set("l1", radius=0.2)
    norms = perturbation_norm("l1", ball.sample(x, torch.Generator().manual_seed(0)) - x)
    assert float((norms < 0.1).double().mean()) == pytest.approx(0.25, abs=0.015)


def test_a_point_stays_where_it_is() -> None:
    x, gradient = images_and_gradient(2, 5)
    point = make_uncertainty_set("point")
    assert isinstance(point, Point)
    assert torch.equal(point.steepest_ascent(gradient, x), torch.zeros_like(x))
    assert torch.equal(point.project(x + 1, x), x)


@pytest.mark.parametrize("radius", [0.0, -1.0, math.nan, math.inf])
def test_a_radius_out_of_range_is_refused_by_name(radius: float) -> None:
    with pytest.raises(InputError, match="radius of 'l2'"):
        make_uncertainty_set("l2", radius=radius)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(InputError, match="point, l1, l2, linf"):
        make_uncertainty_set("l3", radius=1.0)
    with pytest.raises(InputError, match="box_aware, literal, unclipped"):
        make_uncertainty_set("l2", radius=1.0, step="clip")
    with pytest.raises(InputError, match="size"):
        make_uncertainty_set("l2", size=1.0)
