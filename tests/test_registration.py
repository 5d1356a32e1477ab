from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from robustify import registration
from robustify.files.exclusive import exclusive

from .conftest import PROJECT


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A project with stages of mnist, whose calls of DVC are taken down and end with the status of their number."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "conf" / "local").mkdir(parents=True)
    (tmp_path / "data").mkdir()
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
    told = capsys.readouterr()
    assert told.out == ""
    assert "commit of mnist_report ended with status 1" in told.err
    dvc = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force", "--with-deps"]
    assert committed == [[*dvc, "mnist_report"]] * 2


def test_outside_a_git_repository_nothing_is_registered_and_nothing_fails(
    committed: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".git").rmdir()
    assert registration.register("mnist") == 0
    assert "asks for a git repository" in capsys.readouterr().out
    assert committed == []
    Path(".dvc").mkdir()
    for told in ("[core]\n    # no_scm = true\n", "[core]\nno_scm = false\n", "no section\n"):
        Path(".dvc/config").write_text(told)
        assert registration.register("mnist") == 0
        assert committed == []
    # as `dvc init --no-scm` writes it
    Path(".dvc/config").write_text("[core]\n    no_scm = True\n")
    assert registration.register("mnist") == 0
    assert len(committed) == 1


@pytest.mark.parametrize("experiment", ["mnist", "cifar"])
def test_the_last_stage_depends_on_all_others(experiment: str) -> None:
    """What DVC commits with the report is every stage of the experiment, seeds left out."""
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    own = {
        name: stage
        for name, stage in stages.items()
        if name.startswith(f"{experiment}_") and "_seed" not in name
    }

    def paths(stage: dict, key: str) -> set[str]:
        listed = stage.get("do", stage)[key]
        names = [next(iter(path)) if isinstance(path, dict) else path for path in listed]
        items = stage.get("foreach") or {
            net: {} for net in stage.get("matrix", {"net": [""]})["net"]
        }
        return {
            name.replace("${item.net}", net)
            .replace("${key}", net)
            .replace("${item.source}", item.get("source", ""))
            for name in names
            for net, item in items.items()
        }

    made_by = {out: name for name, stage in own.items() for out in paths(stage, "outs")}
    reached, waiting = set(), [f"{experiment}_report"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += {made_by[path] for path in paths(own[name], "deps") & made_by.keys()} - reached
    assert reached == own.keys()


def test_what_a_run_is_at_work_on_is_not_registered(
    committed: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with exclusive(["mnist"]):
        assert registration.register("mnist") == 2
    assert "another run is at work on 'mnist'" in capsys.readouterr().err
    assert committed == []
    assert registration.register("mnist") == 0


def test_what_dvc_does_not_know_is_not_registered(
    committed: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert registration.register("svhn") == 0
    told = capsys.readouterr().out
    assert "what it registers after a run are the experiments mnist, not svhn" in told
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


@pytest.mark.parametrize("content", ["", "stages: 3\n", "- mnist\n", "stages: [\n", "stages:\n"])
def test_a_dvc_yaml_of_no_stages_is_one_line(
    committed: list[list[str]], capsys: pytest.CaptureFixture[str], content: str
) -> None:
    Path("dvc.yaml").write_text(content)
    assert registration.register("mnist") == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("not registered with DVC: dvc.yaml isn't as it should be: ")
    assert committed == []
