"""Decoders of the raw formats: IDX, CIFAR-10's binary version, and PNG batches with JSON labels.

Each refuses a file that isn't exactly what its format says, by name.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from robustify.ingestion.specification import DataError, Images, Labels, RawData

_IDX_UINT8 = 0x08
LARGEST_FILE = 64 * 2**20
_CIFAR_RECORD = 1 + 3 * 32 * 32
CIFAR_BATCH = 10000  # images
PNG_BATCH = (1024, 10000)  # width, height: one row an image

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
CIFAR_BINARY_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR_PNG_FILES = (
    *(f"data_batch_{i}.png" for i in range(1, 6)),
    "train_lables.json",
    "test_batch.png",
    "test_lables.json",
)


def decode_idx(path: Path) -> Images:
    """Return the uint8 array of an IDX file, gzipped or not.

    Raises:
        DataError: if magic number, type or length is off.
    """
    content = _read_bytes(path)
    if len(content) < 4 or content[:2] != b"\x00\x00":
        raise DataError(f"{path} isn't an IDX file: its first two bytes aren't zero")
    kind, dimensions = content[2], content[3]
    if kind != _IDX_UINT8 or dimensions not in (1, 3):
        raise DataError(
            f"{path} holds IDX type 0x{kind:02x} in {dimensions} dimensions, expected 0x08 in 1 or 3"
        )
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} is cut short: {len(content)} bytes, its header alone has {header}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if 0 in shape:
        raise DataError(f"{path} holds nothing: its header says {' x '.join(map(str, shape))}")
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise DataError(f"{path} has {len(content)} bytes, its header says {expected}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def decode_mnist(directory: Path) -> RawData:
    """Return MNIST from the four IDX files of a directory, gzipped or not."""
    arrays = [decode_idx(_idx_path(directory, name)) for name in MNIST_FILES]
    for name, array, dimensions in zip(MNIST_FILES, arrays, (3, 1, 3, 1), strict=True):
        if array.ndim != dimensions:
            raise DataError(
                f"{directory / name} has {array.ndim} dimensions, expected {dimensions}"
            )
    train_images, train_labels, test_images, test_labels = arrays
    return RawData(
        train_images[:, None], _labels(train_labels), test_images[:, None], _labels(test_labels)
    )


def decode_cifar_binary(directory: Path) -> RawData:
    """Return CIFAR-10 from the six files of its binary version."""
    parts = [decode_cifar_batch(directory / name) for name in CIFAR_BINARY_FILES]
    return RawData(
        np.concatenate([images for images, _ in parts[:5]]),
        np.concatenate([labels for _, labels in parts[:5]]),
        *parts[5],
    )


def decode_cifar_png(directory: Path) -> RawData:
    """Return CIFAR-10 from PNG batches (a row an image) and JSON lists of labels."""
    train = [decode_png_batch(directory / name) for name in CIFAR_PNG_FILES[:5]]
    return RawData(
        np.concatenate(train),
        decode_json_labels(directory / CIFAR_PNG_FILES[5]),
        decode_png_batch(directory / CIFAR_PNG_FILES[6]),
        decode_json_labels(directory / CIFAR_PNG_FILES[7]),
    )


def _idx_path(directory: Path, name: str) -> Path:
    # both spellings are in circulation
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz")
    for candidate in names:
        if (directory / candidate).is_file():
            return directory / candidate
    raise DataError(f"{directory} has no {name}")


def _read_bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path} has more than {LARGEST_FILE} bytes")
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be unzipped: {error}") from error
    if len(content) > LARGEST_FILE:
        raise DataError(f"{path} unzips to more than {LARGEST_FILE} bytes")
    return content


def decode_cifar_batch(path: Path) -> tuple[Images, Labels]:
    """Return a file of CIFAR-10's binary version: images, uint8, shape (N, 3, 32, 32), and labels, int64, shape (N,).

    Raises:
        DataError: if the file isn't there or isn't of that size.
    """
    if not path.is_file():
        raise DataError(f"{path.parent} has no {path.name}")
    expected = CIFAR_BATCH * _CIFAR_RECORD
    if path.stat().st_size != expected:
        raise DataError(f"{path} has {path.stat().st_size} bytes, expected {expected}")
    records = np.fromfile(path, dtype=np.uint8).reshape(-1, _CIFAR_RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32), _labels(records[:, 0])


def decode_png_batch(path: Path) -> Images:
    """Return the images of a PNG that holds one of them a row, uint8, shape (N, 3, 32, 32).

    Raises:
        DataError: if the file isn't a PNG of that size.
    """
    if not path.is_file():
        raise DataError(f"{path.parent} has no {path.name}")
    if path.stat().st_size > LARGEST_FILE:
        raise DataError(f"{path} has more than {LARGEST_FILE} bytes")
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            if picture.size != PNG_BATCH or picture.mode not in ("RGB", "RGBA"):
                raise DataError(
                    f"{path} is {picture.mode} {picture.size}, expected RGB {PNG_BATCH}"
                )
            pixels = np.asarray(picture.convert("RGB"))
    except DataError:
        raise
    except Exception as error:
        # on damaged files Pillow raises whatever its parsers happen to trip over
        raise DataError(f"{path} isn't a readable PNG: {error}") from error
    return np.ascontiguousarray(pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2))


def decode_json_labels(path: Path) -> Labels:
    """Return the labels of a JSON list, int64, shape (N,).

    Raises:
        DataError: if the file isn't a list of whole numbers below 256.
    """
    if not path.is_file():
        raise DataError(f"{path.parent} has no {path.name}")
    if path.stat().st_size > LARGEST_FILE:
        raise DataError(f"{path} has more than {LARGEST_FILE} bytes")
    try:
        values = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} isn't JSON: {error}") from error
    if not isinstance(values, list) or not all(
        type(value) is int and 0 <= value < 256 for value in values
    ):
        raise DataError(f"{path} isn't a list of whole numbers below 256")
    return np.array(values, dtype=np.int64)


def _labels(values: Images) -> Labels:
    return values.astype(np.int64)
