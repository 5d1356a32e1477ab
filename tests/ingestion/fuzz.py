"""Fuzzing of every parser of raw data and of stored nets: whatever the bytes, the answer is what was stored or a refusal.

Usage: python -m tests.ingestion.fuzz --cases 100000
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import struct
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from robustify.errors import InputError
from robustify.ingestion import decoders
from robustify.ingestion.sources import extract_members
from robustify.nets import make_net
from robustify.storage import TrainedNet, load_trained_net, save_net, tensors_sha256

SECONDS_A_CASE = 5.0
# as many images as a batch of the little genuine files has
BATCH = 4
INTERESTING = (0, 1, 2, 3, 4, 8, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)


def seeds() -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    """Return a small genuine file for each parser, and the parser."""
    array = np.arange(3 * 28 * 28, dtype=np.uint32).reshape(3, 28, 28).astype(np.uint8)
    idx = struct.pack(">BBBB3I", 0, 0, 8, 3, *array.shape) + array.tobytes()
    picture = io.BytesIO()
    Image.fromarray(np.resize(array, (BATCH, 1024, 3)), "RGB").save(picture, "PNG")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in (("package/labels.json", b"[1, 2]"), ("package/../images", idx)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("package/images")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)

    extended = io.BytesIO()
    with tarfile.open(fileobj=extended, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("package/" + "i" * 120)
        member.pax_headers, member.size = {"comment": "long" * 20, "mtime": "1.5"}, len(idx)
        tar.addfile(member, io.BytesIO(idx))

    def unpack(path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            extract_members(path, Path(folder), ("labels.json", "images"))

    net, read_net = _stored_net()
    records = np.resize(np.arange(251, dtype=np.uint8), (BATCH, 1 + 3 * 32 * 32))
    return {
        "bin": (records.tobytes(), decoders.decode_cifar_batch),
        "net": (net, read_net),
        "idx": (idx, decoders.decode_idx),
        "idx.gz": (gzip.compress(idx), decoders.decode_idx),
        "png": (picture.getvalue(), decoders.decode_png_batch),
        "json": (json.dumps([1, 9, 255] * 9).encode(), decoders.decode_json_labels),
        "tgz": (archive.getvalue(), unpack),
        # the same without compression, so that mutations reach the headers
        "tar": (gzip.decompress(archive.getvalue()), unpack),
        "pax.tar": (extended.getvalue(), unpack),
    }


def _stored_net() -> tuple[bytes, Callable[[Path], object]]:
    """Return a stored net and what reads it, which falls over if what it reads isn't what was stored."""
    architecture = {"name": "fully_connected", "widths": [2]}
    stored = TrainedNet(make_net(**architecture), architecture, {"seed": 1, "radius": 5e-05})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.safetensors"
        save_net(path, stored)
        content, provenance = path.read_bytes(), load_trained_net(path).provenance
    weights = tensors_sha256(stored.net.state_dict())

    def read(path: Path) -> object:
        found = load_trained_net(path)
        assert tensors_sha256(found.net.state_dict()) == weights
        assert found.provenance == provenance
        return found

    return content, read


def mutate(content: bytes, draw: random.Random) -> bytes:
    """Return the content after one to four random injuries."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(data) + 1)
        kind = draw.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            del data[place : place + draw.randint(1, 64)]
        elif kind == 3:
            data[place:place] = draw.randbytes(draw.randint(1, 64))
        elif kind == 4:
            data[place : place + 4] = struct.pack(">I", draw.choice(INTERESTING))
        else:
            source = draw.randrange(len(data) + 1)
            data[place:place] = data[source : source + draw.randint(1, 256)] * draw.randint(1, 8)
    return bytes(data)


def fuzz(cases: int, seed: int) -> Counter[str]:
    """Return how often each parser accepted and refused; anything else it did is raised.

    Raises:
        AssertionError: naming the parser and the case's number, if a parser fell over or took too long.
    """
    draw = random.Random(seed)
    known = seeds()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in tqdm(range(cases), disable=not sys.stderr.isatty()):
            name = draw.choice(list(known))
            content, parse = known[name]
            path = Path(folder) / f"case.{name}"
            path.write_bytes(mutate(content, draw))
            started = time.monotonic()
            try:
                parse(path)
                outcomes[f"{name} accepted"] += 1
            except InputError:
                outcomes[f"{name} refused"] += 1
            except BaseException as error:
                raise AssertionError(f"{name}, case {case} of seed {seed}: {error!r}") from error
            seconds = time.monotonic() - started
            assert seconds < SECONDS_A_CASE, f"{name}, case {case} of seed {seed}: {seconds:.1f} s"
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    decoders.PNG_BATCH, decoders.CIFAR_BATCH = (1024, BATCH), BATCH
    for outcome, count in sorted(fuzz(options.cases, options.seed).items()):
        print(f"{outcome:16} {count}")
