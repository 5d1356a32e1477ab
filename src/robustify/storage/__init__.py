"""Tensors and nets on disk, with their provenance; no pickle is read or written."""

from robustify.storage.nets import TrainedNet, load_net, load_trained_net, save_net
from robustify.storage.tensors import (
    HEADER_KEY,
    PROVENANCE_HASH,
    TENSORS_HASH,
    Tensors,
    load_tensors,
    read_provenance,
    save_tensors,
    tensors_sha256,
)

__all__ = [
    "HEADER_KEY",
    "PROVENANCE_HASH",
    "TENSORS_HASH",
    "Tensors",
    "TrainedNet",
    "load_net",
    "load_tensors",
    "load_trained_net",
    "read_provenance",
    "save_net",
    "save_tensors",
    "tensors_sha256",
]
