"""Kedro's own data sets, saved as whole files or not at all."""

from __future__ import annotations

import copy
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset

from robustify.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Dataset = TypeVar("Dataset", CSVDataset, JSONDataset, TextDataset, MatplotlibDataset)


class AtomicCSVDataset(CSVDataset):
    """A data frame in a CSV file."""

    def save(self, data: pd.DataFrame) -> None:
        with replacing(Path(self._filepath)) as temporary:
            CSVDataset.save(_moved(self, temporary), data)


class AtomicJSONDataset(JSONDataset):
    """Whatever JSON can say, in a JSON file."""

    def save(self, data: Any) -> None:
        with replacing(Path(self._filepath)) as temporary:
            JSONDataset.save(_moved(self, temporary), data)


class AtomicTextDataset(TextDataset):
    """A string in a text file."""

    def save(self, data: str) -> None:
        with replacing(Path(self._filepath)) as temporary:
            TextDataset.save(_moved(self, temporary), data)


class AtomicFiguresDataset(MatplotlibDataset):
    """Figures by file name, in a folder."""

    def save(self, data: dict[str, Figure]) -> None:
        for name, figure in data.items():
            with replacing(Path(self._filepath) / name) as temporary:
                MatplotlibDataset.save(_moved(self, temporary), figure)


def _moved(dataset: Dataset, filepath: Path) -> Dataset:
    twin = copy.copy(dataset)
    twin._filepath = PurePosixPath(filepath)
    return twin
