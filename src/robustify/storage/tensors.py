"""Tensors on disk: safetensors with one JSON header that says where they come from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.files.stated import Stated

# several header keys are written in random order; one key keeps the file's bytes the same
HEADER_KEY = "provenance"
TENSORS_HASH = "tensors_sha256"
PROVENANCE_HASH = "provenance_sha256"
_AGAIN = "remove it and make it again"


@dataclass(frozen=True)
class Tensors:
    """Named tensors and their provenance, a JSON object."""

    tensors: dict[str, Tensor]
    provenance: dict[str, Any] = field(default_factory=dict)


def save_tensors(path: Path, content: Tensors) -> None:
    """Write tensors and provenance to ``path``, with a hash of either in the header.

    Raises:
        InputError: if the file can't be written; the old one is kept.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in content.tensors.items()}
    # as it will be read: JSON knows texts only for names, which sort otherwise than numbers
    provenance = json.loads(json.dumps(content.provenance))
    provenance[TENSORS_HASH] = tensors_sha256(tensors)
    provenance[PROVENANCE_HASH] = _provenance_sha256(provenance)
    header = {HEADER_KEY: _as_header(provenance)}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, header)
        except SafetensorError as error:
            # safetensors reports a full disk as an error of its own
            raise OSError(str(error)) from error
        temporary.chmod(0o644)


def load_tensors(path: Path) -> Tensors:
    """Read what :func:`save_tensors` wrote and check it against the hashes in its header.

    Raises:
        ValueError: if the file is damaged or isn't one of ours; names the file.
        FileNotFoundError: if there is no such file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it")
    if not path.is_file():
        raise FileNotFoundError(f"{path} doesn't exist")
    try:
        # safetensors would say that there is no such file
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER_KEY, "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        provenance = json.loads(header)
    except (SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path} isn't a readable Robustify file: {error}; {_AGAIN}") from error
    if not isinstance(provenance, dict) or provenance.get(PROVENANCE_HASH) != _provenance_sha256(
        provenance
    ):
        raise InputError(
            f"{path} is damaged: its header doesn't have the hash written in it; {_AGAIN}"
        )
    # the hash is of what the header says; 5e-05 and 5E-05 say the same
    if header != _as_header(provenance):
        raise InputError(
            f"{path} is damaged: its header isn't written as Robustify writes it; {_AGAIN}"
        )
    if provenance.get(TENSORS_HASH) != tensors_sha256(tensors):
        raise InputError(
            f"{path} is damaged: its tensors don't have the hash in its header; {_AGAIN}"
        )
    return Tensors(tensors, Stated(provenance, path))


def read_provenance(path: Path) -> dict[str, Any]:
    """Return the provenance in a file's header, without reading or checking its tensors.

    Raises:
        InputError: if it isn't one of ours; names the file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            provenance = json.loads((file.metadata() or {}).get(HEADER_KEY, ""))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} isn't a readable Robustify file: {error}") from error
    if not isinstance(provenance, dict):
        raise InputError(f"{path} isn't a readable Robustify file: its header holds no provenance")
    return Stated(provenance, path)


def _provenance_sha256(provenance: Mapping[str, Any]) -> str:
    covered = {name: value for name, value in provenance.items() if name != PROVENANCE_HASH}
    return hashlib.sha256(_as_header(covered).encode()).hexdigest()


def _as_header(provenance: Mapping[str, Any]) -> str:
    return json.dumps(provenance, sort_keys=True)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return one SHA-256 over names, types, shapes and bytes, in order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
