"""Files that a run reads or writes are looked at before its first node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node, pipeline
from kedro_datasets.matplotlib import MatplotlibDataset

from robustify.checks.unreadable import unreadable_inputs
from robustify.checks.unwritable import unwritable_outputs
from robustify.datasets.atomic import AtomicCSVDataset, AtomicFiguresDataset, AtomicJSONDataset
from robustify.datasets.safetensors import NetDataset, TensorsDataset
from robustify.nets import make_net
from robustify.storage import Tensors, TrainedNet, save_net, save_tensors

RUN = pipeline(
    [
        node(lambda data, net, results, table: (0, 0), ["data", "net", "results", "table"], ["made", "figures"]),
        node(lambda made: 0, "made", "last"),
    ]
)  # fmt: skip


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    """Inputs as runs store them, and places for outputs."""
    save_tensors(tmp_path / "data.safetensors", Tensors({"images": torch.zeros(3)}))
    net = TrainedNet(make_net("mnist_convnet"), {"name": "mnist_convnet"})
    save_net(tmp_path / "net.safetensors", net)
    (tmp_path / "results.json").write_text('{"right": 3}')
    (tmp_path / "table.csv").write_text("net,accuracy\nl2,0.5\n")
    return DataCatalog(
        {
            "data": TensorsDataset(filepath=str(tmp_path / "data.safetensors")),
            "net": NetDataset(filepath=str(tmp_path / "net.safetensors")),
            "results": AtomicJSONDataset(filepath=str(tmp_path / "results.json")),
            "table": AtomicCSVDataset(filepath=str(tmp_path / "table.csv")),
            "made": NetDataset(filepath=str(tmp_path / "made/deeper/made.safetensors")),
            "figures": AtomicFiguresDataset(filepath=str(tmp_path / "figures")),
            "last": AtomicJSONDataset(filepath=str(tmp_path / "last.json")),
        }
    )


def test_whole_inputs_and_free_places_are_as_they_should_be(catalog: DataCatalog) -> None:
    assert unreadable_inputs(RUN, catalog) == []
    assert unwritable_outputs(RUN, catalog) == []
    assert unreadable_inputs(Pipeline([]), catalog) == []


@pytest.mark.parametrize(
    "name", ["data.safetensors", "net.safetensors", "results.json", "table.csv"]
)
def test_each_damaged_input_is_named(catalog: DataCatalog, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = path.read_bytes()
    # a half of either, or nothing at all
    for left in (content[: len(content) // 2], b""):
        path.write_bytes(left if path.suffix != ".csv" else b"")
        (complaint,) = unreadable_inputs(RUN, catalog)
        assert name in complaint.replace("\n", "")
        assert "make it again" in complaint
        assert "\n" not in complaint


def test_places_that_cannot_be_written_are_named(catalog: DataCatalog, tmp_path: Path) -> None:
    (tmp_path / "last.json").mkdir()
    (tmp_path / "made").write_text("a file")
    (tmp_path / "figures").write_text("a file")
    assert unwritable_outputs(RUN, catalog) == [
        f"{tmp_path}/figures is a file, a folder is needed there; remove it",
        f"{tmp_path}/last.json is a folder, a file is to be written there; remove it",
        f"{tmp_path}/made is a file, a folder is needed there; remove it",
    ]


def test_what_others_data_sets_write_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    theirs = MatplotlibDataset(filepath=str(tmp_path / "figures"))
    drawing = pipeline([node(lambda: 0, None, "figures")])
    assert unwritable_outputs(drawing, DataCatalog({"figures": theirs})) == []


def test_a_whole_file_is_not_to_be_removed(
    catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(path: Path) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("robustify.storage.load_trained_net", load)
    (complaint,) = unreadable_inputs(RUN, catalog)
    assert "net.safetensors" in complaint
    assert complaint.endswith("no room")


def test_a_folder_that_is_read_only_is_named(
    catalog: DataCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may write anywhere, whatever the folder's mode says
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path / "made")
    (tmp_path / "made").mkdir()
    assert unwritable_outputs(RUN, catalog) == [
        f"{tmp_path}/made can't be written; make it writable"
    ]
