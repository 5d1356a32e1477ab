from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, norm
from scipy.stats import t as student

from robustify.errors import InputError
from robustify.significance import (
    bootstrap_interval,
    by_image,
    compare,
    interval_over_seeds,
    mcnemar,
    over_seeds,
    score_interval,
)


def binomial_tail(successes: int, trials: int) -> float:
    return sum(math.comb(trials, k) for k in range(successes + 1)) / 2**trials


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (1, 9), (12, 2), (0, 6), (40, 61)])
def test_mcnemar_is_twice_the_binomial_tail(first: int, second: int) -> None:
    expected = min(1.0, 2 * binomial_tail(min(first, second), first + second))
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(second, first) == mcnemar(first, second)


def test_the_interval_is_scipys_bootstrap_over_images() -> None:
    first = np.array([1] * 30 + [0] * 12 + [1] * 100 + [0] * 8, dtype=bool)
    second = np.array([0] * 30 + [1] * 12 + [1] * 100 + [0] * 8, dtype=bool)
    found = compare(first, second, generator=np.random.default_rng(0), resamples=50_000)
    assert (found.only_first, found.only_second, found.images) == (30, 12, 150)
    assert found.difference == pytest.approx(18 / 150)
    differences = first.astype(float) - second
    peer = bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=50_000, rng=1
    ).confidence_interval
    assert found.interval == pytest.approx((peer.low, peer.high), abs=0.0075)


def test_examples_of_one_image_are_drawn_together_as_in_scipys_bootstrap() -> None:
    generator = np.random.default_rng(4)
    # images of one to three examples, which go together: as many independent examples would say more
    leads, sizes = generator.integers(-1, 2, 60), generator.integers(1, 4, 60)
    sources = np.repeat(generator.permutation(60), sizes)
    first = np.repeat(leads >= 0, sizes)
    second = np.repeat(leads <= 0, sizes)
    shuffled = generator.permutation(len(sources))
    found = compare(
        first[shuffled],
        second[shuffled],
        generator=np.random.default_rng(0),
        sources=sources[shuffled],
        resamples=50_000,
    )
    assert found.difference == pytest.approx((leads * sizes).sum() / sizes.sum())
    peer = bootstrap(
        (leads * sizes, sizes),
        lambda totals, counts, axis: totals.sum(axis) / counts.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=50_000,
        rng=1,
    ).confidence_interval
    assert found.interval == pytest.approx((peer.low, peer.high), abs=0.005)
    apart = compare(first, second, generator=np.random.default_rng(0))
    width, independent = np.diff(found.interval)[0], np.diff(apart.interval)[0]
    assert width > 1.2 * independent


def test_the_interval_of_many_images_is_the_normal_one() -> None:
    differences = np.array([1] * 300 + [-1] * 200 + [0] * 9500)
    low, high = bootstrap_interval(
        differences, generator=np.random.default_rng(0), confidence=0.9, resamples=100_000
    )
    deviation = math.sqrt((0.05 - 0.01**2) / 10_000)
    half = norm.ppf(0.95) * deviation
    assert (low, high) == pytest.approx((0.01 - half, 0.01 + half), abs=1e-4)


def test_equal_nets_differ_by_nothing() -> None:
    right = np.array([True, False, True])
    found = compare(right, right, generator=np.random.default_rng(0))
    assert found.p_value == 1
    assert found.interval == (0, 0)
    assert found.difference == 0


def test_mean_and_deviation_over_seeds() -> None:
    found = over_seeds([1.0, 2.0, 4.0])
    assert found["mean"] == pytest.approx(7 / 3)
    assert found["std"] == pytest.approx(
        math.sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2)
    )
    assert found["values"] == [1.0, 2.0, 4.0]
    assert over_seeds([1.0])["std"] is None


def test_examples_of_one_image_count_once() -> None:
    #                  A     A      A      B     B      C     D
    first = np.array([True, True, False, True, False, True, False])
    second = np.array([False, False, True, False, True, False, True])
    found = by_image(first, second, np.array([7, 7, 7, 2, 2, 5, 4]))
    # A and C for the first, D for the second, B for neither
    assert found == {"images": 4, "only_first": 2, "only_second": 1, "p_value": mcnemar(2, 1)}
    with pytest.raises(InputError, match=r"shapes \(7,\), \(7,\) and \(6,\)"):
        by_image(first, second, np.arange(6))


def test_bad_values_are_refused() -> None:
    generator = np.random.default_rng(0)
    right = np.array([True, False])
    with pytest.raises(InputError, match="same images"):
        compare(right, right[:1], generator=generator)
    with pytest.raises(InputError, match="2 examples and sources of 3"):
        compare(right, right, generator=generator, sources=np.arange(3))
    with pytest.raises(InputError, match="same images"):
        compare(right[:0], right[:0], generator=generator)
    with pytest.raises(InputError, match="confidence is 1"):
        compare(right, right, generator=generator, confidence=1)
    with pytest.raises(InputError, match="resamples is 10"):
        compare(right, right, generator=generator, resamples=10)
    for counts in ((-1, 2), (1.5, 2), (True, 2)):
        with pytest.raises(InputError, match=f"only_first is {counts[0]}; it must be a whole"):
            mcnemar(*counts)
    with pytest.raises(InputError, match=r"only_second is 2\.0"):
        mcnemar(1, 2.0)
    with pytest.raises(InputError, match="no finite number"):
        bootstrap_interval(np.array([1.0, np.nan]), generator=generator)
    with pytest.raises(InputError, match=r"right is 1\.5"):
        score_interval(1.5, 10)
    with pytest.raises(InputError, match="confidence is 'x'"):
        compare(right, right, generator=generator, confidence="x")
    with pytest.raises(InputError, match="no images"):
        bootstrap_interval(np.empty(0), generator=generator)
    with pytest.raises(InputError, match="no seeds"):
        over_seeds([])
    with pytest.raises(InputError, match="images is 0"):
        score_interval(0, 0)
    with pytest.raises(InputError, match="right is 3; of 2 images"):
        score_interval(3, 2)
    with pytest.raises(InputError, match="right is -1"):
        score_interval(-1, 2)
    with pytest.raises(InputError, match="confidence is 0"):
        score_interval(1, 2, confidence=0)


@pytest.mark.parametrize(("right", "images"), [(409, 1000), (9301, 10_000), (0, 50), (50, 50)])
def test_the_interval_of_an_accuracy_ends_where_a_score_test_rejects(
    right: int, images: int
) -> None:
    low, high = score_interval(right, images)
    for end in (low, high):
        # at the ends of [0, 1] the share itself is one of the two
        deviation = norm.ppf(0.975) * math.sqrt(end * (1 - end) / images)
        assert abs(right / images - end) == pytest.approx(deviation, abs=1e-12)
    assert 0 <= low <= right / images <= high <= 1
    assert low < high
    narrow = score_interval(right, images, confidence=0.5)
    assert narrow[1] - narrow[0] < high - low


def test_the_interval_over_seeds_is_welchs() -> None:
    # means 2 and 5, variances 1 and 4, so 1/3 and 4/4 of the means; their degrees of freedom by Welch and Satterthwaite
    first, second = [1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 8.0]
    spread = np.var(second, ddof=1) / 4
    freedom = (1 / 3 + spread) ** 2 / ((1 / 3) ** 2 / 2 + spread**2 / 3)
    reach = student.ppf(0.975, freedom) * (1 / 3 + spread) ** 0.5
    assert interval_over_seeds(first, second) == pytest.approx((-3 - reach, -3 + reach))
    low, high = interval_over_seeds(first, second, confidence=0.5) or (0, 0)
    assert -3 - reach < low < -3 < high < -3 + reach


def test_the_interval_over_seeds_misses_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    found = [
        interval_over_seeds(list(generator.normal(1, 1, 3)), list(generator.normal(0, 1, 4)))
        for _ in range(2000)
    ]
    missed = sum(not low <= 1 <= high for low, high in filter(None, found)) / len(found)
    # about three standard errors of 5 % in 2,000
    assert missed == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("first", "second"),
    [([0.3], [0.1, 0.2]), ([0.3, 0.2], [0.1]), ([0.3, 0.3], [0.1, 0.2]), ([0.3, 0.2], [0.1] * 3)],
)
def test_too_little_over_seeds_has_no_interval(first: list[float], second: list[float]) -> None:
    assert interval_over_seeds(first, second) is None


def test_what_has_no_interval_over_seeds_is_refused() -> None:
    with pytest.raises(InputError, match=r"confidence is 1\.5"):
        interval_over_seeds([0.1, 0.2], [0.1, 0.3], confidence=1.5)
    with pytest.raises(InputError, match="isn't finite"):
        interval_over_seeds([0.1, math.nan], [0.1, 0.3])
    with pytest.raises(InputError, match="over no seeds"):
        interval_over_seeds([], [0.1, 0.3])
