"""Whether one net is more accurate than another on the same images, or only luckier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, ttest_ind

from robustify.errors import InputError, shown
from robustify.limits import is_number, require_at_least

Right = npt.NDArray[np.bool_]
# accuracies that are the same but for their last bits
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class PairedComparison:
    """Two nets on the same images.

    Attributes:
        images: number of images.
        only_first: images that only the first net has right.
        only_second: images that only the second net has right.
        difference: accuracy of the first net less that of the second, a share.
        interval: bootstrap interval of the difference, over images.
        confidence: of the interval.
        p_value: of McNemar's exact test, two-sided: how likely a split at least as uneven of the
            images that exactly one net has right would be if either were as likely to have it.
    """

    images: int
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    confidence: float
    p_value: float


def compare(
    first: Right,
    second: Right,
    *,
    generator: np.random.Generator,
    sources: npt.NDArray[Any] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> PairedComparison:
    """Compare two nets by which images they have right.

    Args:
        first: whether the first net has each image right, bool, shape (N,).
        second: whether the second net has it, bool, shape (N,).
        generator: draws the bootstrap's samples.
        sources: of examples, the image that each was made of, see :func:`bootstrap_interval`; the p-value takes
            them for independent all the same, :func:`by_image` doesn't.
        confidence: of the interval, in (0, 1).
        resamples: of the bootstrap, at least 100.

    Raises:
        ValueError: if there are no images, the shapes differ, or a number is out of range.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise InputError(
            f"two nets on the same images are compared, got shapes {first.shape} and {second.shape}"
        )
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    return PairedComparison(
        images=len(first),
        only_first=only_first,
        only_second=only_second,
        difference=(only_first - only_second) / len(first),
        interval=bootstrap_interval(
            first.astype(np.int64) - second,
            generator=generator,
            sources=sources,
            confidence=confidence,
            resamples=resamples,
        ),
        confidence=confidence,
        p_value=mcnemar(only_first, only_second),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar, 1947).

    Args:
        only_first: images that only the first net has right.
        only_second: images that only the second net has right.

    Raises:
        ValueError: if a count is no whole number >= 0.
    """
    require_at_least(0, only_first=only_first, only_second=only_second)
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def by_image(first: Right, second: Right, sources: npt.NDArray[Any]) -> dict[str, Any]:
    """Return McNemar's exact test where several examples may come of one image, so that they aren't independent.

    An image counts for the net that has more of its examples right, and for neither if both have as many.

    Args:
        first: whether the first net has each example right, bool, shape (N,).
        second: whether the second net has it, bool, shape (N,).
        sources: the image that each example was made of, shape (N,).

    Returns:
        ``images``: how many there are, ``only_first``, ``only_second``: for how many either net counts, and ``p_value``.

    Raises:
        InputError: if the shapes differ.
    """
    if not first.shape == second.shape == sources.shape:
        raise InputError(
            f"examples are compared, got shapes {first.shape}, {second.shape} and {sources.shape}"
        )
    images, image_of_example = np.unique(sources, return_inverse=True)
    leads = np.bincount(image_of_example, weights=first.astype(np.int64) - second)
    only_first, only_second = int((leads > 0).sum()), int((leads < 0).sum())
    return {
        "images": len(images),
        "only_first": only_first,
        "only_second": only_second,
        "p_value": mcnemar(only_first, only_second),
    }


def bootstrap_interval(
    differences: npt.NDArray[Any],
    *,
    generator: np.random.Generator,
    sources: npt.NDArray[Any] | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
) -> tuple[float, float]:
    """Return the percentile bootstrap's interval of a mean over images, or over examples made of them (Efron, 1979).

    Images are drawn with replacement, each with all of its examples, for those of one image aren't
    independent. Differences of nets take few values, and to draw images is to draw how many of them
    have each: one multinomial draw a sample.

    Args:
        differences: of each image or example, e.g. whether the first net has it right less whether the
            second has, or the mean of that over several seeds; shape (N,).
        generator: draws the samples.
        sources: the image that each example was made of, shape (N,); every entry is an image of its own if left out.
        confidence: of the interval, in (0, 1).
        resamples: number of samples, at least 100.

    Raises:
        ValueError: if there are no images, a difference isn't finite, sources aren't those of the examples, or a number is
            out of range.
    """
    _require_confidence(confidence)
    require_at_least(100, resamples=resamples)
    if len(differences) == 0:
        raise InputError("the mean over no images is undefined")
    if not np.isfinite(differences).all():
        raise InputError("differences hold what is no finite number; each image must have one")
    sources = np.arange(len(differences)) if sources is None else sources
    if sources.shape != differences.shape:
        raise InputError(
            f"there are {len(differences)} examples and sources of {len(sources)}; each example must have one"
        )
    image_of_example = np.unique(sources, return_inverse=True)[1]
    each = np.bincount(image_of_example, weights=differences), np.bincount(image_of_example)
    (totals, sizes), counts = np.unique(np.stack(each), axis=1, return_counts=True)
    images = int(counts.sum())
    drawn = generator.multinomial(images, counts / images, size=resamples)
    means = (drawn @ totals) / (drawn @ sizes)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def score_interval(right: int, images: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a net's accuracy over all images that there might be (Wilson, 1927).

    Args:
        right: how many images the net has right.
        images: of how many, at least 1.
        confidence: of the interval, in (0, 1).

    Returns:
        Both ends, shares.

    Raises:
        InputError: if there are no images, more are right than there are, or the confidence is out of range.
    """
    _require_confidence(confidence)
    require_at_least(1, images=images)
    require_at_least(0, right=right)
    if right > images:
        raise InputError(f"right is {right}; of {images} images it must be from 0 to {images}")
    interval = binomtest(right, images).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, sample standard deviation (None of a single value) and the values themselves.

    Args:
        values: one a seed.

    Raises:
        ValueError: if there are none.
    """
    if len(values) == 0:
        raise InputError("mean over no seeds is undefined")
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "std": spread, "values": list(values)}


def interval_over_seeds(
    first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return Welch's interval of the difference between two ways of training, over all seeds that there might be (Welch, 1947).

    A bootstrap over images says how sure it is that these very nets differ. Nets that differ in their
    seed alone do, too, so for what holds of a way of training the spread over seeds counts.

    Args:
        first: one number a net trained the first way, say its accuracy.
        second: the same of the second way; each net once.
        confidence: of the interval, in (0, 1).

    Returns:
        The interval of the first mean less the second; None where there are fewer than two nets of either way, or one way's
        don't differ at all, which a few rounded numbers may do by chance.

    Raises:
        InputError: if there are no values, one isn't finite, or the confidence is out of range.
    """
    _require_confidence(confidence)
    if not np.isfinite([*first, *second]).all():
        raise InputError(f"a value over seeds isn't finite: {[*first, *second]}")
    spreads = [over_seeds(values)["std"] for values in (first, second)]
    if any(spread is None or spread < _NO_SPREAD for spread in spreads):
        return None
    interval = ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    return float(interval.low), float(interval.high)


def _require_confidence(confidence: float) -> None:
    if not is_number(confidence) or not 0 < confidence < 1:
        raise InputError(f"confidence is {shown(confidence)}; it must be in (0, 1)")
