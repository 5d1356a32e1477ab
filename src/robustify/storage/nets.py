"""Nets on disk: their weights, and what is needed to make them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustify.errors import InputError
from robustify.nets import make_net
from robustify.storage.tensors import Tensors, load_tensors, save_tensors


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
