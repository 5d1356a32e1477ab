from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from robustify import registration


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A project with stages of mnist, whose calls of DVC are taken down and end with the status of their number."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "local").mkdir(parents=True)
    (tmp_path / "dvc.yaml").write_text("stages:\n  mnist_report:\n    cmd: kedro run\n")
    calls: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        calls.append(command)
        return subprocess.CompletedProcess(command, len(calls) - 1)

    monkeypatch.setattr(registration.subprocess, "run", run)
    return calls


def test_the_stages_of_an_experiment_are_registered(
    committed: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration.register("mnist") == 0
    assert "outputs registered" in capsys.readouterr().out
    # what DVC couldn't do is its exit status, and not called done
    assert registration.register("__default__") == 1
    assert capsys.readouterr().out == ""
    dvc = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force"]
    stages = [
        "mnist_ingest",
        "mnist_train",
        "mnist_attack",
        "mnist_evaluate",
        "mnist_verify",
        "mnist_report",
    ]
    assert committed == [[*dvc, *stages]] * 2


def test_what_dvc_does_not_know_is_not_registered(
    committed: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration.register("svhn") == 0
    assert "dvc.yaml has no stages of svhn" in capsys.readouterr().out
    (tmp_path / "conf/local/parameters.yml").write_text("mnist: {seed: 1}\n")
    assert registration.register("mnist") == 0
    assert "conf/local overrides parameters" in capsys.readouterr().out
    assert committed == []


@pytest.mark.parametrize("name", ["parameters.yaml", "parameters.json", "parameters/mine.yml"])
def test_whatever_kedro_reads_in_conf_local_counts(
    committed: list[list[str]], tmp_path: Path, name: str
) -> None:
    path = tmp_path / "conf/local" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")
    assert registration.register("mnist") == 0
    assert committed == []


def test_outside_of_a_project_nothing_is_registered(
    committed: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dvc.yaml").unlink()
    assert registration.register("mnist") == 2
    assert (
        capsys.readouterr().out == "there is no dvc.yaml here; run this in the project's folder\n"
    )
    assert committed == []
