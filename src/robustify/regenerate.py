"""Makes a stored adversarial set anew from its manifest and compares the two byte for byte.

Usage: python -m robustify.regenerate EXPERIMENT [--seed N] [--folder NAME]
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from robustify.configuration import BASELINE
from robustify.errors import InputError
from robustify.pipelines.adversarial_set.nodes import make_adversarial_set
from robustify.placement import HOME_SEED, folder_of
from robustify.storage import (
    PROVENANCE_HASH,
    TENSORS_HASH,
    Tensors,
    load_tensors,
    load_trained_net,
    save_tensors,
)

DATA = Path("data")


def regenerate(
    experiment: str, data: Path = DATA, *, seed: int = HOME_SEED, folder: str | None = None
) -> list[str]:
    """Return in what the set made anew differs from the stored one; nothing if they are the same bytes.

    It is made by the configuration that its manifest holds, from the net and the test data that lie in
    the project now, by the code as it is now.

    Args:
        experiment: its name.
        data: folder of the project's data.
        seed: of the experiment whose set it is.
        folder: of the experiment's settings, if they have one of their own.

    Raises:
        InputError: if a file is damaged or the set has no manifest.
        FileNotFoundError: if the set, the net or the test data isn't there.
    """
    place = folder_of(experiment, seed, folder)
    path = _path(data, place)
    stored = load_tensors(path)
    manifest = stored.provenance.get("manifest")
    if manifest is None:
        raise InputError(
            f"{path} has no manifest; make it anew: kedro run --pipeline={experiment}_robust "
            f"--nodes={experiment}.attack --params={experiment}.seed={seed}"
        )
    made, _ = make_adversarial_set(
        load_trained_net(data / "06_models" / place / f"{BASELINE}.safetensors"),
        load_tensors(data / "02_intermediate" / experiment / "test_data.safetensors"),
        **manifest["configuration"],
    )
    with tempfile.TemporaryDirectory() as temporary:
        again = Path(temporary) / path.name
        save_tensors(again, made)
        if again.read_bytes() == path.read_bytes():
            return []
        return list(differences(stored, load_tensors(again))) or ["the order of bytes in the file"]


def _path(data: Path, place: PurePosixPath) -> Path:
    return data / "05_model_input" / place / "adversarial_set.safetensors"


def differences(stored: Tensors, made: Tensors) -> Iterator[str]:
    """Yield in words what differs between two sets: tensors first, then each entry of their headers."""
    for name in sorted({*stored.tensors, *made.tensors}):
        one, other = stored.tensors.get(name), made.tensors.get(name)
        if one is None or other is None:
            yield f"tensor {name}: only in the {'new' if one is None else 'stored'} set"
        elif not _same_bits(one, other):
            yield f"tensor {name}: {_difference(one, other)}"
    yield from _header_differences(stored.provenance, made.provenance)


def _header_differences(
    stored: Mapping[str, Any], made: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    for key in sorted({*stored, *made}):
        # they follow from what is named already
        if key in (TENSORS_HASH, PROVENANCE_HASH) and not prefix:
            continue
        one, other = stored.get(key), made.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _header_differences(one, other, f"{prefix}{key}.")
        elif one != other:
            yield f"{prefix}{key}: stored {one!r}, new {other!r}"


def _same_bits(one: Tensor, other: Tensor) -> bool:
    return (
        one.shape == other.shape
        and one.dtype == other.dtype
        and one.numpy().tobytes() == other.numpy().tobytes()
    )


def _difference(one: Tensor, other: Tensor) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"stored {one.dtype} {tuple(one.shape)}, new {other.dtype} {tuple(other.shape)}"
    apart = (one.double() - other.double()).abs()
    return f"{int((apart > 0).sum())} of {one.numel()} values, by up to {float(apart.max()):.3g}"


def main() -> int:
    """Compare the set that the command line names, say what differs and return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("experiment", help="e.g. mnist")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--seed", type=int, default=HOME_SEED, help="of the experiment")
    parser.add_argument(
        "--folder", help="of the experiment's settings, if they have one, e.g. paper"
    )
    options = parser.parse_args()
    try:
        found = regenerate(
            options.experiment, options.data, seed=options.seed, folder=options.folder
        )
    except (InputError, FileNotFoundError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    path = _path(options.data, folder_of(options.experiment, options.seed, options.folder))
    if found:
        print(f"{path} made anew differs in:", *found, sep="\n  ")  # noqa: T201
        return 1
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: made anew, the same bytes (SHA-256 {digest})")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
