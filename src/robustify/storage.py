"""Tensors and nets on disk: safetensors with one JSON header that says where they come from.

No pickle is read or written.
"""

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
from torch import Tensor, nn

from robustify.atomic import replacing
from robustify.errors import InputError
from robustify.nets import make_net
from robustify.stated import Stated

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
        raise InputError(f"{path} isn't a readable Robustify file: {error}") from error
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


@dataclass(frozen=True)
class TrainedNet:
    """A net with what is needed to make it again.

    Attributes:
        net: maps images in [0, 1], shape (N, C, H, W), to logits.
        architecture: ``name`` and options for :func:`robustify.nets.make_net`.
        provenance: recipe, data, uncertainty set, seed and metrics, a JSON object without times.
    """

    net: nn.Module
    architecture: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)


def save_net(path: Path, trained: TrainedNet) -> None:
    """Write the net's weights and provenance to ``path``."""
    header = {**trained.provenance, "architecture": trained.architecture}
    save_tensors(path, Tensors(dict(trained.net.state_dict()), header))


def load_trained_net(path: Path) -> TrainedNet:
    """Read a net and its provenance; the net is in eval mode, on the CPU.

    Raises:
        ValueError: if the file is damaged or holds no net; names the file.
        FileNotFoundError: if there is no such file.
    """
    stored = load_tensors(path)
    architecture = stored.provenance.get("architecture")
    if not isinstance(architecture, dict):
        raise InputError(f"{path} holds no net: its header names no architecture")
    _require_fit(path, architecture, stored.tensors)
    net = make_net(**architecture)
    odd = [name for name, tensor in stored.tensors.items() if not bool(tensor.isfinite().all())]
    if odd:
        raise InputError(
            f"{path}: weights that aren't finite: {', '.join(odd)}; train the net again"
        )
    try:
        net.load_state_dict(stored.tensors)
    except RuntimeError as error:
        raise InputError(f"{path}: weights don't fit {architecture}: {error}") from error
    net.to(memory_format=torch.channels_last)
    return TrainedNet(net.eval(), architecture, stored.provenance)


def _require_fit(path: Path, architecture: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Refuse an architecture whose weights aren't those stored, before memory is taken for it."""
    try:
        with torch.device("meta"):
            wanted = make_net(**architecture).state_dict()
    except (TypeError, InputError) as error:
        raise InputError(
            f"{path} holds no net: its architecture is {f'{architecture}':.200}: {error}"
        ) from error
    for name in sorted(wanted.keys() | tensors.keys()):
        asked, given = (
            f"{of[name].dtype} {tuple(of[name].shape)}" if name in of else "nothing"
            for of in (wanted, tensors)
        )
        if asked != given:
            raise InputError(
                f"{path}: weights don't fit {f'{architecture}':.200}: {name} is {given}, it must be {asked}"
            )


def load_net(path: str | Path) -> nn.Module:
    """Return a stored net as a module from [0, 1] images to logits, in eval mode, on the CPU.

    Raises:
        ValueError: if the file is damaged or holds no net; names the file.
        FileNotFoundError: if there is no such file.
    """
    return load_trained_net(Path(path)).net
