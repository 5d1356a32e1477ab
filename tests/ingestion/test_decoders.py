from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from robustify.ingestion import sources
from robustify.ingestion.decoders import (
    MNIST_FILES,
    decode_cifar_binary,
    decode_cifar_png,
    decode_idx,
    decode_mnist,
)
from robustify.ingestion.sources import extract_members, from_directory
from robustify.ingestion.specification import DataError, specification_of


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


PICTURES = np.arange(2 * 28 * 28, dtype=np.uint32).reshape(2, 28, 28).astype(np.uint8)


def test_idx_gives_the_array_back_zipped_or_not(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(idx(PICTURES))
    (tmp_path / "zipped.gz").write_bytes(gzip.compress(idx(PICTURES)))
    for name in ("plain", "zipped.gz"):
        np.testing.assert_array_equal(decode_idx(tmp_path / name), PICTURES)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "isn't an IDX file"),
        (b"\x01\x00\x08\x01", "isn't an IDX file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "type 0x0d"),
        (b"\x00\x00\x08\x03\x00", "cut short"),
        (idx(PICTURES)[:-1], "its header says 1584"),
        (idx(PICTURES) + b"x", "its header says 1584"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "its header says"),
    ],
)
def test_damaged_idx_is_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"broken.*{complaint}"):
        decode_idx(path)


def test_damaged_gzip_and_bombs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(idx(PICTURES))[:-9])
    with pytest.raises(DataError, match="can't be unzipped"):
        decode_idx(tmp_path / "cut.gz")
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(65 * 2**20)))
    with pytest.raises(DataError, match="unzips to more than"):
        decode_idx(tmp_path / "bomb.gz")


def test_mnist_is_read_under_either_spelling(tmp_path: Path) -> None:
    arrays = [PICTURES, np.array([1, 2], np.uint8), PICTURES[:1], np.array([9], np.uint8)]
    for name, array in zip(MNIST_FILES, arrays, strict=True):
        (tmp_path / name.replace("-idx", ".idx")).write_bytes(idx(array))
    data = decode_mnist(tmp_path)
    np.testing.assert_array_equal(data.train_images[:, 0], PICTURES)
    assert data.test_labels.tolist() == [9]
    (tmp_path / "t10k-labels.idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels"):
        decode_mnist(tmp_path)


def test_both_cifar_formats_give_the_same_arrays(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"):  # fmt: skip
        images = generator.integers(0, 256, (10000, 3, 32, 32), dtype=np.uint8)
        labels = generator.integers(0, 10, 10000, dtype=np.uint8)
        records = np.concatenate([labels[:, None], images.reshape(10000, -1)], axis=1)
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
        picture = images.transpose(0, 2, 3, 1).reshape(10000, 1024, 3)
        Image.fromarray(picture).save(tmp_path / f"{name}.png", compress_level=0)
        (tmp_path / f"{name}.json").write_text(json.dumps(labels.tolist()))
    train = [json.loads((tmp_path / f"data_batch_{i}.json").read_text()) for i in range(1, 6)]
    (tmp_path / "train_lables.json").write_text(
        json.dumps([label for batch in train for label in batch])
    )
    (tmp_path / "test_lables.json").write_text((tmp_path / "test_batch.json").read_text())
    binary, png = decode_cifar_binary(tmp_path), decode_cifar_png(tmp_path)
    for part in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(binary, part), getattr(png, part))
    with (tmp_path / "data_batch_3.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=r"data_batch_3\.bin has 30730001 bytes"):
        decode_cifar_binary(tmp_path)
    (tmp_path / "data_batch_2.png").write_bytes((tmp_path / "data_batch_2.png").read_bytes()[:9999])
    with pytest.raises(DataError, match=r"data_batch_2\.png"):
        decode_cifar_png(tmp_path)


def test_an_idx_file_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 2**32 - 1, 2**32 - 1))
    with pytest.raises(DataError, match="images holds nothing: its header says 0 x 4294967295 x"):
        decode_idx(path)


def test_archives_give_up_regular_files_only(tmp_path: Path) -> None:
    archive, target = tmp_path / "a.tgz", tmp_path / "out"
    target.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        for name, link in (("../../wanted", None), ("pkg/other", "/etc/passwd")):
            member = tarfile.TarInfo(name)
            content = b"content"
            if link:
                member.type, member.linkname, content = tarfile.SYMTYPE, link, b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    extract_members(archive, target, ["wanted", "other"])
    assert [path.name for path in target.iterdir()] == ["wanted"]
    assert (target / "wanted").read_bytes() == b"content"
    archive.write_bytes(archive.read_bytes()[:30])
    with pytest.raises(DataError, match=r"a\.tgz can't be unpacked"):
        extract_members(archive, target, ["wanted"])


def test_an_archive_that_unpacks_to_more_than_any_genuine_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGEST_ARCHIVE", 2**20)
    # a member that nobody asked for isn't unpacked to its end
    unwanted = tarfile.TarInfo("unwanted")
    unwanted.size = 2**21
    archive = tmp_path / "a.tgz"
    with tarfile.open(archive, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(unwanted, io.BytesIO(bytes(unwanted.size)))
    assert archive.stat().st_size < 2**14
    with pytest.raises(DataError, match=r"a\.tgz unpacks to more than 1048576 bytes"):
        extract_members(archive, tmp_path, ["wanted"])


def with_header(kind: bytes, content: bytes) -> bytes:
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, len(content)
    return header.tobuf() + content + bytes(-len(content) % 512)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        # Python takes time in the square of a header's length over this one
        (with_header(tarfile.XHDTYPE, b"1" * 2**21), "extended header of 2097152 bytes"),
        (with_header(tarfile.XGLTYPE, b"1" * 2**21), "extended header of 2097152 bytes"),
        (with_header(tarfile.GNUTYPE_LONGNAME, b"a" * 2**21), "extended header of 2097152 bytes"),
        (with_header(tarfile.GNUTYPE_LONGLINK, b"a" * 2**21), "extended header of 2097152 bytes"),
        # each of these is read while the one before is
        (with_header(tarfile.XHDTYPE, b"8 a=b\n") * 60_000, "recursion"),
        (tarfile.TarInfo("empty").tobuf() * 1001, "a.tgz has more than 1000 members"),
    ],
)
def test_an_archive_of_odd_headers_is_refused_at_once(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    archive = tmp_path / "a.tgz"
    archive.write_bytes(gzip.compress(content, 1))
    with pytest.raises(DataError, match=complaint):
        extract_members(archive, tmp_path, ["wanted"])


def test_the_longest_headers_that_are_taken_cost_no_time(tmp_path: Path) -> None:
    digits = b"1" * sources.LARGEST_HEADER
    archive = tmp_path / "a.tar"
    archive.write_bytes(
        (with_header(tarfile.XGLTYPE, digits) + tarfile.TarInfo("empty").tobuf()) * 250
    )
    started = time.monotonic()
    with suppress(DataError):
        extract_members(archive, tmp_path, ["wanted"])
    assert time.monotonic() - started < 20


def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte can't be read: Permission denied"
    ):
        from_directory(specification_of("mnist"), tmp_path)


def test_an_empty_directory_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data_batch_1\.bin, data_batch_1\.png"):
        from_directory(specification_of("cifar10"), tmp_path)
