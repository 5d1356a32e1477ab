"""Kedro data sets for tensors and nets with provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


class TensorsDataset(AbstractDataset["Tensors", "Tensors"]):
    """Tensors and their provenance in one safetensors file.

    Args:
        filepath: of the file, relative to the project.
        metadata: ignored here; for other tools such as Kedro-Viz.
    """

    PLACE = "file"

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Tensors:
        from robustify.storage import load_tensors

        return load_tensors(self._filepath)

    def provenance(self) -> dict[str, Any]:
        """Return what the file's header says, see :func:`robustify.storage.read_provenance`."""
        from robustify.storage import read_provenance

        return read_provenance(self._filepath)

    def save(self, data: Tensors) -> None:
        from robustify.storage import save_tensors

        save_tensors(self._filepath, data)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class NetDataset(AbstractDataset["TrainedNet", "TrainedNet"]):
    """A trained net and its provenance in one safetensors file.

    Args:
        filepath: of the file, relative to the project.
        metadata: ignored here; for other tools such as Kedro-Viz.
    """

    PLACE = "file"

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> TrainedNet:
        from robustify.storage import load_trained_net

        return load_trained_net(self._filepath)

    def provenance(self) -> dict[str, Any]:
        """Return what the file's header says, see :func:`robustify.storage.read_provenance`."""
        from robustify.storage import read_provenance

        return read_provenance(self._filepath)

    def save(self, data: TrainedNet) -> None:
        from robustify.storage import save_net

        save_net(self._filepath, data)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
