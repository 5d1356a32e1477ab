"""Runs that are killed, stopped, cut off or refused, on small parts of the real data."""

from __future__ import annotations

import json
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from robustify.storage import load_tensors

from .killing import differences, epochs_logged, run_with_kills, runs_of
from .project import Project, few_attacks, needs_namespaces, without_times

SIZE = (
    "mnist.data.training_images=2000,mnist.data.test_images=500,mnist.training.epochs=2,"
    + few_attacks("mnist")
)
RUN = ("run", "--pipeline=mnist_robust", "--env=quick", f"--params={SIZE}")
NETS = ("baseline", "control", "l1", "l2", "linf")
KILLS = 3


WHOLE: Counter[tuple[str, str]] = Counter(
    {("mnist_robust", "FINISHED"): 1, **{(f"mnist.{net}", "FINISHED"): 1 for net in NETS}}
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A run that nothing disturbed."""
    project = Project(tmp_path_factory.mktemp("whole"))
    started = time.monotonic()
    project.kedro(*RUN)
    project.seconds = time.monotonic() - started
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def wait_for(log: Path, words: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while words not in log.read_text():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, f"no {words!r} in {log.read_text()[-3000:]}"
        time.sleep(0.1)


def test_a_run_killed_at_random_instants_ends_as_if_it_had_not_been(
    whole: Project, project: Project
) -> None:
    draw = random.Random(time.time_ns())
    told = f"killed after {run_with_kills(project, RUN, KILLS, whole.seconds, draw)} s"
    assert differences(project, whole) == [], told
    # a run killed after its last word to MLflow, but before its process ended, is over: the next is another
    assert runs_of(project.store) in (WHOLE, WHOLE + WHOLE, WHOLE + WHOLE + WHOLE), told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_politely_stores_its_state_and_goes_on(
    whole: Project, project: Project, number: signal.Signals
) -> None:
    process = project.start(*RUN)
    wait_for(project.folder / "run.log", "mnist.control:   ", process)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    told = (project.folder / "run.log").read_text()
    assert "the same command goes on from here" in told
    assert "Traceback" not in told
    assert runs_of(project.store) == {
        ("mnist_robust", "KILLED"): 1,
        ("mnist.baseline", "FINISHED"): 1,
        ("mnist.control", "KILLED"): 1,
    }
    stored = list((project.folder / "data/06_models/checkpoints/mnist.control").rglob("*.safet*"))
    assert stored
    project.kedro(*RUN)
    assert without_times(project.results("mnist")) == without_times(whole.results("mnist"))
    assert runs_of(project.store) == WHOLE


def test_ctrl_c_while_kedro_starts_ends_in_order(project: Project) -> None:
    process = project.start(*RUN)
    wait_for(project.folder / "run.log", "Kedro project", process)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 128 + signal.SIGINT
    log = (project.folder / "run.log").read_text()
    assert "the same command goes on from here" in log
    assert "Traceback" not in log
    assert not (project.folder / "data/06_models").exists()


def test_any_change_trains_again_and_nothing_else_does(whole: Project) -> None:
    folder = whole.folder / "data/06_models/checkpoints"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert len(before) == len(NETS)
    radius = "mnist.nets.l2.uncertainty_set.radius=1.1"
    whole.kedro(*RUN[:-1], "--tags=l2", f"--params={SIZE},{radius}")
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert before.items() <= after.items()
    (new,) = after.keys() - before.keys()
    assert new.parts[-3] == "mnist.l2"
    whole.kedro(*RUN, "--tags=l2")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == after


def test_two_runs_at_once_on_the_same_data_are_refused(whole: Project) -> None:
    with FileLock(whole.folder / "data/.mnist.lock"):
        refused = whole.kedro(*RUN, check=False)
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "another run is at work on 'mnist'" in told
    assert "Traceback" not in told


def test_of_two_real_runs_the_second_is_refused_and_the_first_is_not_disturbed(
    whole: Project, project: Project
) -> None:
    first = project.start(*RUN)
    wait_for(project.folder / "run.log", "mnist.baseline:   ", first)
    second = project.kedro(*RUN, check=False)
    assert first.poll() is None, "the first was over before the second began"
    assert second.returncode != 0
    assert "another run is at work on 'mnist'" in " ".join((second.stdout + second.stderr).split())
    assert first.wait(300) == 0
    assert differences(project, whole) == []
    assert runs_of(project.store) == WHOLE


@needs_namespaces
@pytest.mark.parametrize(
    ("folder", "start"),
    [
        ("02_intermediate", "--nodes=mnist.ingest"),
        ("05_model_input", "--nodes=mnist.attack"),
        ("06_models", "--namespaces=mnist.l2"),
        ("07_model_output", "--namespaces=mnist.l2_evaluation"),
        ("08_reporting", "--tags=reporting"),
    ],
)
def test_a_full_disk_is_one_line_and_what_was_there_stays(
    whole: Project, tmp_path: Path, folder: str, start: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(whole.folder, copy, symlinks=True)
    shutil.rmtree(copy / "data/06_models/checkpoints", ignore_errors=True)
    project = Project.at(copy)
    place = copy / "data" / folder
    # all that was there, and a filler that takes the last byte; kept aside to look at it afterwards
    full = (
        f"mount -t tmpfs -o size=64m tmpfs {tmp_path}/mnt; cp -a {place}/. {tmp_path}/mnt; "
        f"mount --bind {tmp_path}/mnt {place}; dd if=/dev/zero of={place}/.filler 2>/dev/null || true"
    )
    (tmp_path / "mnt").mkdir()
    after = f"find {place} -name '*.partial'; (cd {place}; find . -type f ! -name .filler | sort | xargs sha256sum)"
    failed = project.kedro(*RUN, start, check=False, before=full, after=after)
    assert failed.returncode != 0
    told = " ".join((failed.stdout + failed.stderr).split())
    assert "couldn't be written: " in told
    assert "No space left on device" in told
    assert "Traceback" not in told
    assert ".partial" not in failed.stdout
    before = subprocess.run(
        "find . -type f | sort | xargs sha256sum", shell=True, cwd=place, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert before.stdout.strip() in failed.stdout


@needs_namespaces
def test_a_read_only_data_folder_is_one_line_before_any_work(whole: Project) -> None:
    data = whole.folder / "data"
    read_only = f"mount --bind {data} {data}; mount -o remount,bind,ro {data}"
    failed = whole.kedro(*RUN, check=False, before=read_only)
    assert failed.returncode != 0
    told = " ".join((failed.stdout + failed.stderr).split())
    assert "can't be written: Read-only file system" in told
    assert "Traceback" not in told


@needs_namespaces
@pytest.mark.parametrize("store", ["no tables yet", "tables of an earlier run"])
def test_a_store_that_is_full_at_the_start_is_one_line_before_any_work(
    whole: Project, project: Project, store: str
) -> None:
    place = project.folder / "store"
    place.mkdir()
    earlier = f"cp {whole.folder}/mlflow.db {place}; " if store != "no tables yet" else ""
    full = (
        f"mount -t tmpfs -o size=16m tmpfs {place}; {earlier}"
        f"dd if=/dev/zero of={place}/.filler 2>/dev/null || true"
    )
    address = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    refused = project.kedro(*RUN, check=False, before=full, **address)
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    assert f"MLflow's store {address['MLFLOW_TRACKING_URI']} takes nothing" in told
    assert "disk is full" in told
    assert "Traceback" not in told
    assert not (project.folder / "data/06_models").exists()


@needs_namespaces
def test_a_store_that_fills_up_stops_no_training_and_is_told_when_there_is_room(
    whole: Project, project: Project
) -> None:
    folder, place = project.folder, project.folder / "store"
    waiting = folder / "data/08_reporting/mnist/unsent_metrics.jsonl"
    for name in ("store", "mlruns"):
        (folder / name).mkdir()
    # the database and the copies of nets and figures lie on one small disk. Once the second net trains, a filler
    # takes its last byte, and every byte that is given back
    filled = f"""
        exec >run.log 2>&1
        mount -t tmpfs -o size=64m tmpfs {place}
        mkdir {place}/mlruns && mount --bind {place}/mlruns mlruns
        (
            until grep -q 'mnist.control:   ' run.log; do sleep 0.1; done
            until [ -e run_is_over ]; do cat /dev/zero >>{place}/.filler 2>/dev/null || sleep 0.05; done
        ) & filler=$!
    """
    room = f"""
        touch run_is_over
        wait $filler
        cp {waiting} waited.jsonl
        rm {place}/.filler
        {shlex.join([sys.executable, "-m", "kedro", *RUN, "--nodes=mnist.ingest"])}
        cp {place}/mlflow.db kept.db
    """
    address = {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}
    finished = project.kedro(*RUN, check=False, before=filled, after=room, **address)
    told = (folder / "run.log").read_text()
    assert finished.returncode == 0, told[-3000:]
    assert "Traceback" not in told
    assert "metrics wait in" in told
    assert without_times(project.results("mnist")) == without_times(whole.results("mnist"))
    kept_aside = [json.loads(line) for line in (folder / "waited.jsonl").read_text().splitlines()]
    assert {entry["run"].get("name") for entry in kept_aside} >= {
        "mnist.l1",
        "mnist.l2",
        "mnist.linf",
    }
    assert not waiting.exists()
    store = f"sqlite:///{folder}/kept.db"
    assert epochs_logged(store) == {f"mnist.{net}": [1, 2] for net in NETS}
    assert runs_of(store) == WHOLE + Counter({("mnist_robust", "FINISHED"): 1})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={port}",
            f"--backend-store-uri=sqlite:///{folder}/server.db", "--workers=1",
            f"--artifacts-destination={folder}/artifacts",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    import os

    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_that_is_away_at_the_start_is_one_line_in_seconds(project: Project) -> None:
    started = time.monotonic()
    refused = project.kedro(
        *RUN, check=False, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}"
    )
    assert refused.returncode != 0
    assert time.monotonic() - started < 30
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "which doesn't answer" in told
    assert "Traceback" not in told
    assert not (project.folder / "data/06_models").exists()


def test_a_server_that_takes_calls_but_never_answers_is_one_line_in_seconds(
    project: Project,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        refused = project.kedro(
            *RUN, check=False, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{mute.getsockname()[1]}"
        )
        assert time.monotonic() - started < 30
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "which doesn't answer" in told
    assert "Traceback" not in told


def test_a_server_that_dies_stops_no_training_and_is_told_when_it_is_back(
    whole: Project, project: Project
) -> None:
    port = free_port()
    address = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
    waiting = project.folder / "data/08_reporting/mnist/unsent_metrics.jsonl"
    with server(project.folder, port) as process:
        run = project.start(*RUN, **address)
        wait_for(project.folder / "run.log", "mnist.control:   ", run)
        stop(process)
        assert run.wait(300) == 0, (project.folder / "run.log").read_text()[-3000:]
    assert without_times(project.results("mnist")) == without_times(whole.results("mnist"))
    assert waiting.is_file()
    with server(project.folder, port):
        project.kedro(*RUN, "--nodes=mnist.ingest", **address)
        assert not waiting.exists()
        told = epochs_logged(address["MLFLOW_TRACKING_URI"])
    assert told == {f"mnist.{net}": [1, 2] for net in NETS}


def test_what_is_stored_is_checked_when_it_is_read(whole: Project) -> None:
    for path in (whole.folder / "data").rglob("*.safetensors"):
        assert load_tensors(path).provenance["tensors_sha256"]
