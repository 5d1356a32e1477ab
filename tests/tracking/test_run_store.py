"""MLflow's database is whole or not there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from robustify.errors import InputError
from robustify.tracking.run_store import file_of, make_tables


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sqlite:////tmp/mlflow.db", Path("/tmp/mlflow.db")),
        ("sqlite:///mlflow.db?timeout=5", Path("mlflow.db").absolute()),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("http://127.0.0.1:5000", None),
        ("", None),
    ],
)
def test_only_files_of_sqlite_are_files(uri: str, expected: Path | None) -> None:
    assert file_of(uri) == expected


def test_mlflow_finds_its_tables_and_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "mlflow.db"
    make_tables(path)
    client = MlflowClient(f"sqlite:///{path}")
    experiment = client.create_experiment("mine")
    run = client.create_run(experiment).info.run_id
    make_tables(path)
    assert client.get_run(run).info.experiment_id == experiment
    assert sorted(found.name for found in path.parent.iterdir()) == [".mlflow.db.lock", "mlflow.db"]


MAKING = "from pathlib import Path; from robustify.tracking.run_store import make_tables; print('begins', flush=True); make_tables(Path('mlflow.db'))"


def test_a_process_killed_while_it_makes_the_tables_leaves_none(tmp_path: Path) -> None:
    path, begun = tmp_path / "mlflow.db", tmp_path / ".mlflow.db.partial"
    process = subprocess.Popen([sys.executable, "-c", MAKING], cwd=tmp_path)
    # some of the tables are there
    while not begun.exists() or begun.stat().st_size < 50_000:
        assert process.poll() is None, "it was done before it could be killed"
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not path.exists()
    assert begun.exists()
    make_tables(path)
    assert not begun.exists()
    assert MlflowClient(f"sqlite:///{path}").get_experiment("0").name == "Default"


def test_what_a_killed_process_left_goes_even_if_the_tables_were_made_by_another(
    tmp_path: Path,
) -> None:
    # somebody opens MLflow's page between the kill and the next run
    path = tmp_path / "mlflow.db"
    experiment = MlflowClient(f"sqlite:///{path}").create_experiment("mine")
    for name in (".mlflow.db.partial", ".mlflow.db.partial-journal"):
        (tmp_path / name).write_bytes(b"half of it")
    make_tables(path)
    assert MlflowClient(f"sqlite:///{path}").get_experiment(experiment).name == "mine"
    assert sorted(tmp_path.glob(".mlflow.db.partial*")) == []


def test_two_that_make_the_tables_at_once_are_both_right(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", MAKING], cwd=tmp_path) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert client.get_experiment("0").name == "Default"


def test_a_folder_that_cannot_be_made_is_named() -> None:
    with pytest.raises(InputError, match=r"/dev/null/runs/mlflow\.db couldn't be made: "):
        make_tables(Path("/dev/null/runs/mlflow.db"))
