from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from robustify.errors import InputError
from robustify.uncertainty import (
    L1Ball,
    L2Ball,
    LinfBall,
    NormBall,
    Point,
    Step,
    make_uncertainty_set,
    perturbation_norm,
)

NORMS = ("l1", "l2", "linf")
RADII = {"l1": 0.9, "l2": 0.6, "linf": 0.15}


def images_and_gradient(batch: int, dimensions: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(batch, dimensions, generator=generator)
    # a third of the pixels lies on a border, as in real images
    x = torch.where(torch.rand(x.shape, generator=generator) < 0.2, torch.zeros(()), x)
    x = torch.where(torch.rand(x.shape, generator=generator) < 0.15, torch.ones(()), x)
    gradient = torch.randn(batch, dimensions, generator=generator)
    # a dead unit's gradient is exactly zero
    return x, gradient * (torch.rand(x.shape, generator=generator) > 0.1)


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


@pytest.mark.parametrize("norm", NORMS)
def test_a_gradient_that_is_no_number_ends_and_leaves_the_others_alone(norm: str) -> None:
    x, gradient = images_and_gradient(3, 20)
    ball = make_uncertainty_set(norm, radius=0.5)
    alone = ball.steepest_ascent(gradient[:1], x[:1])
    gradient[1] = math.nan
    with_nan = ball.steepest_ascent(gradient, x)
    torch.testing.assert_close(with_nan[:1], alone)


def test_l1_step_looks_at_as_many_pixels_as_take_the_budget() -> None:
    # the first row is done with one pixel; in the others each pixel takes a hundredth, so that a hundred and all are needed
    x = torch.full((3, 1100), 0.99)
    x[0] = 0.1
    gradient = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) + 0.1
    for length in (0.5, 1.0, 10.0):
        step = make_uncertainty_set("l1", radius=length).steepest_ascent(gradient, x)
        order = gradient.argsort(dim=1, descending=True)
        for row, room in enumerate((0.9, 0.01, 0.01)):
            taken = step[row][order[row]].double()
            full = round(length / room - 0.5)
            np.testing.assert_allclose(taken[:full], room, atol=1e-6)
            assert float(taken.sum()) == pytest.approx(length, abs=1e-4)
            assert taken[full + 2 :].count_nonzero() == 0


@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
def test_the_l1_step_ranks_float64_gradients_beyond_float32(scale: float) -> None:
    gradient = scale * torch.tensor([[1, 5, 2, 9, 9 * (1 + 1e-12)]], dtype=torch.float64)
    x = torch.full((1, 5), 0.5, dtype=torch.float64)
    moved = make_uncertainty_set("l1", radius=0.7).steepest_ascent(gradient, x)
    assert moved[0].tolist() == pytest.approx([0, 0, 0, 0.2, 0.5])


def test_a_radius_just_short_of_the_box_is_kept() -> None:
    moved = make_uncertainty_set("l2", radius=1.6).steepest_ascent(
        torch.ones(1, 3), torch.zeros(1, 3)
    )
    assert moved.tolist() == [pytest.approx([1.6 / math.sqrt(3)] * 3)]


def test_equal_float64_gradients_go_to_the_lowest_index() -> None:
    # more of them than a sort that isn't stable leaves in order
    gradient, x = torch.ones(2, 3000, dtype=torch.float64), torch.full((2, 3000), 0.75).double()
    moved = make_uncertainty_set("l1", radius=10.0).steepest_ascent(gradient, x)
    assert moved[:, :40].unique().tolist() == [0.25]
    assert moved[:, 40:].count_nonzero() == 0


def test_a_radius_beyond_the_box_fills_it() -> None:
    gradient, x = torch.tensor([[1.0, -2.0, 0.0]]), torch.tensor([[0.25, 0.5, 0.5]])
    for radius in (2.0, 1e17):
        for norm in ("l1", "l2", "linf"):
            moved = make_uncertainty_set(norm, radius=radius).steepest_ascent(gradient, x)
            assert moved.tolist() == [[0.75, -0.5, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_l1_projection_holds_the_radius_however_far_the_candidate(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    ball = make_uncertainty_set("l1", radius=1e-3, step="unclipped")
    x = torch.zeros(2, 3072, dtype=dtype)
    for reach in (1.0, 30.0, 1e4):
        candidate = reach * torch.rand(x.shape, generator=generator, dtype=dtype)
        norm = ball.project(candidate, x).abs().sum(dim=1).double()
        # how well float32 candidates of this size say where they are
        tolerance = 1e-6 if dtype == torch.float32 else 1e-9 * reach
        assert norm.tolist() == pytest.approx([1e-3, 1e-3], rel=tolerance)


@pytest.mark.parametrize("seed", range(5))
def test_linf_step_is_the_best_corner(seed: int) -> None:
    x, gradient = images_and_gradient(4, 6, seed)
    radius = 0.3
    step = make_uncertainty_set("linf", radius=radius).steepest_ascent(gradient, x)
    corners = torch.cartesian_prod(*[torch.tensor([-radius, 0.0, radius])] * 6)
    for i in range(4):
        reachable = (x[i] + corners).clamp(0, 1) - x[i]
        best = float((reachable @ gradient[i]).max())
        assert float(gradient[i] @ step[i]) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("length", [None, 0.3])
def test_the_balls_own_step_reaches_the_dual_norm(norm: str, length: float | None) -> None:
    # Hölder: max <g, Δ> over ‖Δ‖ ≤ r is r times the dual norm of g; the literal step is that, clipped
    x, gradient = images_and_gradient(5, 30)
    unclipped = make_uncertainty_set(norm, radius=0.8, step="unclipped").steepest_ascent(
        gradient, x, length
    )
    dual = {"l1": math.inf, "l2": 2, "linf": 1}[norm]
    torch.testing.assert_close(
        (gradient * unclipped).sum(1), (length or 0.8) * gradient.norm(p=dual, dim=1)
    )
    literal = make_uncertainty_set(norm, radius=0.8, step="literal").steepest_ascent(
        gradient, x, length
    )
    expected = np.clip((x + unclipped).numpy(), 0, 1) - x.numpy()
    np.testing.assert_allclose(literal.numpy(), expected, atol=1e-6)


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


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    radius=st.floats(0.01, 4),
    reach=st.floats(0.01, 10),
    unclipped=st.booleans(),
)
def test_projection_is_the_one_found_by_bisection(
    norm: str, seed: int, radius: float, reach: float, unclipped: bool
) -> None:
    x, direction = images_and_gradient(3, 12, seed)
    candidate = x + reach * direction
    ball = make_uncertainty_set(norm, radius=radius, step="unclipped" if unclipped else "box_aware")
    projected = ball.project(candidate, x)
    for i in range(3):
        expected = bisection_projection(
            norm, candidate[i].double().numpy(), x[i].double().numpy(), radius, unclipped
        )
        np.testing.assert_allclose(projected[i].numpy(), expected, atol=2e-5)


def bisection_projection(
    norm: str, candidate: np.ndarray, x: np.ndarray, radius: float, unclipped: bool
) -> np.ndarray:
    """Nearest point of ball ∩ box by its Lagrange multiplier, found by bisection."""
    offset = candidate - x
    room = np.full_like(x, np.inf) if unclipped else np.where(offset > 0, 1 - x, x)

    def at(multiplier: float) -> np.ndarray:
        # stationarity of ½‖Δ − offset‖² + multiplier·(‖Δ‖₁ or ½‖Δ‖₂²), entry by entry
        size = np.abs(offset)
        size = np.maximum(size - multiplier, 0) if norm == "l1" else size / (1 + multiplier)
        return np.minimum(size, room)

    if norm == "linf":
        return x + np.sign(offset) * np.minimum(np.minimum(np.abs(offset), radius), room)
    order = 1 if norm == "l1" else 2
    low, high = 0.0, 1e6
    if np.linalg.norm(at(0.0), ord=order) <= radius:
        return x + np.sign(offset) * at(0.0)
    for _ in range(200):
        middle = (low + high) / 2
        inside = np.linalg.norm(at(middle), ord=order) <= radius
        low, high = (low, middle) if inside else (middle, high)
    return x + np.sign(offset) * at(high)


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


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_samples_fill_the_ball_evenly(norm: str, dimensions: int) -> None:
    x = torch.full((20000, dimensions), 0.5, dtype=torch.float64)
    ball = make_uncertainty_set(norm, radius=0.2)
    moved = ball.sample(x, torch.Generator().manual_seed(0)) - x
    assert moved.dtype == torch.float64
    # volume grows with the power of the dimension, in every orthant alike
    for share in (0.5, 0.8, 0.95):
        within = (perturbation_norm(norm, moved) < share * 0.2).double().mean()
        assert float(within) == pytest.approx(share**dimensions, abs=0.015)
    orthant = ((moved > 0).long() * 2 ** torch.arange(dimensions)).sum(1)
    shares = orthant.bincount(minlength=2**dimensions) / len(x)
    np.testing.assert_allclose(shares, 0.5**dimensions, atol=0.015)


@pytest.mark.parametrize("norm", NORMS)
def test_samples_come_from_the_generator_alone(norm: str) -> None:
    x, _ = images_and_gradient(4, 10)
    ball = make_uncertainty_set(norm, radius=0.3)
    samples = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        samples.append(ball.sample(x, torch.Generator().manual_seed(7)))
    assert torch.equal(*samples)
    assert not torch.equal(samples[0], ball.sample(x, torch.Generator().manual_seed(8)))


@pytest.mark.parametrize("norm", NORMS)
def test_no_images_are_no_mistake(norm: str) -> None:
    ball, x = make_uncertainty_set(norm, radius=0.3), torch.empty(0, 1, 2, 2)
    assert ball.steepest_ascent(x, x).shape == x.shape
    assert ball.project(x, x).shape == x.shape
    assert ball.sample(x, torch.Generator()).shape == x.shape


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_sample_has_the_type_of_its_image(norm: str, dtype: torch.dtype) -> None:
    x = torch.full((3, 4), 0.5, dtype=dtype)
    ball = make_uncertainty_set(norm, radius=0.3)
    assert ball.sample(x, torch.Generator().manual_seed(0)).dtype == dtype


def test_norms_of_a_perturbation() -> None:
    moved = torch.tensor([[[3.0, 0.0], [0.0, -4.0]], [[-1.0, 1.0], [1.0, 1.0]]])
    assert perturbation_norm("l1", moved).tolist() == [7, 4]
    assert perturbation_norm("l2", moved).tolist() == [5, 2]
    assert perturbation_norm("linf", moved).tolist() == [4, 1]


def test_a_point_stays_where_it_is() -> None:
    x, gradient = images_and_gradient(2, 5)
    point = make_uncertainty_set("point")
    assert isinstance(point, Point)
    assert torch.equal(point.steepest_ascent(gradient, x), torch.zeros_like(x))
    assert point.radius == 0
    for stand_in in (point.project(x + 1, x), point.sample(x, torch.Generator())):
        assert torch.equal(stand_in, x)
        # a copy, so that who writes into it doesn't write into the data
        assert stand_in.data_ptr() != x.data_ptr()


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


def test_slopes_that_differ_by_more_than_squares_can_hold_still_fill_the_ball() -> None:
    x = torch.tensor([[1.0, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]])
    ordinary = torch.tensor([0.0, 3.0, 0.0, 4.0])
    ball = L2Ball(radius=0.3)
    alone = ball.steepest_ascent(ordinary[None], x[1:])
    for steepest in (1e19, 1e20, 1e30, 1e38):
        # the steepest pixel has no room, so the three others share the step evenly
        gradient = torch.stack([torch.tensor([steepest, 1.0, 1.0, -1.0]), ordinary])
        step = ball.steepest_ascent(gradient, x)
        share = 0.3 / 3**0.5
        torch.testing.assert_close(step[0], torch.tensor([0.0, share, share, -share]))
        assert torch.equal(step[1:], alone), "another row of the batch isn't touched"
    # 0.5 of the way to a far pixel's border, the rest of the radius to the others
    far = torch.tensor([[1e22, 1.0, 1.0, 0.0]])
    rest = ((0.6**2 - 0.5**2) / 3) ** 0.5
    offset = L2Ball(radius=0.6).project(far, x[1:]) - x[1:]
    torch.testing.assert_close(offset, torch.tensor([[0.5, rest, rest, -rest]]))


@pytest.mark.parametrize("step", ["box_aware", "literal", "unclipped"])
def test_infinite_slopes_count_alone_and_slopes_that_are_no_numbers_for_nothing(step: Step) -> None:
    gradient = torch.tensor(
        [[math.inf, 1.0, 2.0, -1.0], [math.nan, 3.0, 0.0, -4.0], [1.0, -math.inf, 2.0, math.inf]]
    )
    x = torch.full((3, 4), 0.5)
    both = 0.3 / 2**0.5
    torch.testing.assert_close(
        L2Ball(radius=0.3, step=step).steepest_ascent(gradient, x),
        torch.tensor([[0.3, 0, 0, 0], [0, 0.18, 0, -0.24], [0, -both, 0, both]]),
    )
    torch.testing.assert_close(
        L1Ball(radius=0.3, step=step).steepest_ascent(gradient, x),
        torch.tensor([[0.3, 0, 0, 0], [0, 0, 0, -0.3], [0, -0.3, 0, 0]]),
    )
    torch.testing.assert_close(
        LinfBall(radius=0.3, step=step).steepest_ascent(gradient, x),
        torch.tensor([[0.3, 0.3, 0.3, -0.3], [0, 0.3, 0, -0.3], [0.3, -0.3, 0.3, 0.3]]),
    )


@pytest.mark.parametrize("kind", [L1Ball, L2Ball, LinfBall])
def test_an_infinite_slope_out_of_the_box_leaves_the_others_theirs(kind: type[NormBall]) -> None:
    gradient = torch.tensor([[math.inf, 4.0, -3.0, -math.inf]])
    x = torch.tensor([[1.0, 0.5, 0.5, 0.0]])
    finite = gradient.nan_to_num(posinf=0.0, neginf=0.0)
    ball = kind(radius=0.3)
    torch.testing.assert_close(
        ball.steepest_ascent(gradient, x), ball.steepest_ascent(finite, x), rtol=0, atol=0
    )


@pytest.mark.parametrize("radius", ["0.3", None, [0.3], True, 10**400, 1e19, 1e-30])
@pytest.mark.parametrize("kind", [L1Ball, L2Ball, LinfBall])
def test_a_radius_that_float32_cannot_hold_is_refused(kind: type[NormBall], radius: object) -> None:
    with pytest.raises(InputError, match=f"radius of {kind.name!r} is .*; it must be "):
        kind(radius=radius)


@pytest.mark.parametrize("radius", [0.1, 0.3, 0.616, 0.9])
@pytest.mark.parametrize("step", ["box_aware", "unclipped"])
def test_one_steep_pixel_leaves_the_others_their_share(radius: float, step: Step) -> None:
    """The whole step is nearly that pixel's; rounded to all of it, the others had nothing, or a hundred times their share."""
    slope = torch.tensor([50.0, 1e-4, -3e-4, 0.0]).view(1, 1, 2, 2)
    x = torch.tensor([0.0, 0.5, 0.5, 0.5]).view(1, 1, 2, 2)
    ball = L2Ball(radius=radius, step=step)
    expected = (radius * slope.double() / slope.double().norm()).float()
    torch.testing.assert_close(ball.steepest_ascent(slope, x), expected, rtol=1e-5, atol=0)
    moved = L2Ball(radius=radius, step=step).project(x + slope, x) - x
    torch.testing.assert_close(moved[0, 0, 0, 0], expected[0, 0, 0, 0], rtol=1e-5, atol=0)
    origin = torch.zeros_like(x)
    unclipped = L2Ball(radius=radius, step="unclipped").project(slope, origin)
    torch.testing.assert_close(unclipped, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_largest_ball_still_shrinks_what_is_further_away(norm: str) -> None:
    x = torch.full((2, 4), 0.5)
    far = torch.tensor([[1e25, 0.0, 0.0, 0.0], [0.0, 0.0, -3e19, 0.0]])
    offset = make_uncertainty_set(norm, radius=1e18, step="unclipped").project(far, x) - x
    expected = torch.tensor([[1e18, 0.0, 0.0, 0.0], [0.0, 0.0, -1e18, 0.0]])
    torch.testing.assert_close(offset, expected, atol=1, rtol=1e-6)


def test_numbers_of_numpy_are_numbers() -> None:
    assert LinfBall(radius=np.float32(0.5)).radius == 0.5


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_box_is_as_wide_as_its_corners_are_apart(norm: str) -> None:
    kind = type(make_uncertainty_set(norm, radius=1.0))
    width = perturbation_norm(norm, torch.ones(1, 3, 32, 32))
    assert kind.box_diameter(3072) == pytest.approx(float(width))
