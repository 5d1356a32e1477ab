from __future__ import annotations

import json
import os
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.figure import Figure

from robustify.datasets.atomic import (
    AtomicCSVDataset,
    AtomicFiguresDataset,
    AtomicJSONDataset,
    AtomicTextDataset,
)
from robustify.errors import InputError
from robustify.files.atomic import replacing

mpl.use("Agg")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_the_new_file_takes_the_place_of_the_old_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with replacing(path) as temporary:
        temporary.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert names(path.parent) == ["file"]


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    message = r"file couldn't be written: No space left"
    with pytest.raises(InputError, match=message), replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as temporary:
        temporary.write_text("left by a process that was killed here")
        os.link(temporary, tmp_path / "kept")
    (tmp_path / "kept").rename(temporary)
    with replacing(path) as again:
        assert again == temporary
        again.write_text("whole")
    assert names(tmp_path) == ["file"]


def test_every_kind_of_file_is_saved_whole_and_read_back(tmp_path: Path) -> None:
    frame = pd.DataFrame({"epsilon": [0.1, 0.2], "accuracy": [0.9, 0.8]})
    table = AtomicCSVDataset(filepath=str(tmp_path / "a.csv"), save_args={"index": False})
    table.save(frame)
    pd.testing.assert_frame_equal(table.load(), frame)
    results = AtomicJSONDataset(filepath=str(tmp_path / "b.json"))
    results.save({"size": 3})
    assert json.loads((tmp_path / "b.json").read_text()) == results.load() == {"size": 3}
    page = AtomicTextDataset(filepath=str(tmp_path / "c.html"))
    page.save("<p>")
    assert page.load() == "<p>"
    AtomicFiguresDataset(filepath=str(tmp_path / "figures")).save({"d.png": Figure()})
    assert (tmp_path / "figures" / "d.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "figures" / "kept.csv").write_text("no figure\n")
    AtomicFiguresDataset(filepath=str(tmp_path / "figures")).save({"e.png": Figure()})
    assert names(tmp_path / "figures") == ["e.png", "kept.csv"], (
        "figures of an earlier run are gone"
    )
    (tmp_path / "figures" / "kept.csv").unlink()
    assert names(tmp_path) == ["a.csv", "b.json", "c.html", "e.png", "figures"]


def test_data_that_cannot_be_saved_leaves_the_old_file(tmp_path: Path) -> None:
    results = AtomicJSONDataset(filepath=str(tmp_path / "b.json"))
    results.save({"size": 3})
    with pytest.raises(Exception, match="not JSON serializable"):
        results.save({"size": object()})
    assert results.load() == {"size": 3}
    assert names(tmp_path) == ["b.json"]


def test_a_file_system_that_refuses_everything_is_named_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refused)
    with (
        pytest.raises(InputError, match=r"file couldn't be written: Read-only file system"),
        replacing(tmp_path / "file"),
    ):
        raise OSError(30, "Read-only file system")
