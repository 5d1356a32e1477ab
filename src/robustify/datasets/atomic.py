"""Kedro's own data sets, saved as whole files or not at all."""

from __future__ import annotations

import copy
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from kedro.io import DatasetError
from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset

from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.files.stated import Stated

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Dataset = TypeVar("Dataset", CSVDataset, JSONDataset, TextDataset, MatplotlibDataset)


class AtomicCSVDataset(CSVDataset):
    """A data frame in a CSV file."""

    PLACE = "file"

    def save(self, data: pd.DataFrame) -> None:
        _save(CSVDataset, self, Path(self._filepath), data)


class AtomicJSONDataset(JSONDataset):
    """A JSON object in a file, whose name it knows for what it lacks when it is loaded."""

    PLACE = "file"

    def load(self) -> Stated:
        content = super().load()
        if not isinstance(content, dict):
            raise InputError(
                f'{self._filepath} holds no JSON object, {{"name": value}}; remove it and make it again'
            )
        return Stated(content, Path(self._filepath))

    def save(self, data: Any) -> None:
        _save(JSONDataset, self, Path(self._filepath), data)


class AtomicTextDataset(TextDataset):
    """A string in a text file."""

    PLACE = "file"

    def save(self, data: str) -> None:
        _save(TextDataset, self, Path(self._filepath), data)


class AtomicFiguresDataset(MatplotlibDataset):
    """Figures by file name, in a folder of their own."""

    PLACE = "folder"

    def save(self, data: dict[str, Figure]) -> None:
        folder = Path(self._filepath)
        for name, figure in data.items():
            _save(MatplotlibDataset, self, folder / name, figure)
        # those of an earlier run would be taken for this one's
        for path in folder.glob("*.png"):
            if path.name not in data:
                path.unlink()


def _save(kind: type[Dataset], dataset: Dataset, path: Path, data: Any) -> None:
    with replacing(path) as temporary:
        twin = copy.copy(dataset)
        twin._filepath = PurePosixPath(temporary)
        try:
            kind.save(twin, data)
        except DatasetError as error:
            # Kedro hides the operating system's answer behind its own
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
