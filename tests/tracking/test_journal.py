from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from robustify.errors import InputError
from robustify.tracking import journal as module
from robustify.tracking.credentials import without_credentials
from robustify.tracking.journal import Journal, NetRun


@pytest.fixture
def client(tmp_path: Path) -> Iterator[MlflowClient]:
    address = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(address)
    yield MlflowClient(address)
    mlflow.set_tracking_uri(None)


@pytest.fixture
def parent(client: MlflowClient) -> str:
    return str(client.create_run(client.create_experiment("trial")).info.run_id)


@pytest.fixture
def net_run(parent: str) -> NetRun:
    return NetRun(parent, "mnist.l2", {"robustify.net": "l2"}, {"radius": 1.2})


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "reporting")


@pytest.fixture
def unsent(tmp_path: Path) -> Path:
    return tmp_path / "reporting" / "unsent_metrics.jsonl"


def children(client: MlflowClient, parent: str) -> list:
    experiment = client.get_run(parent).info.experiment_id
    return client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent}'")


def history(client: MlflowClient, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in client.get_metric_history(run_id, name)]


def break_down(monkeypatch: pytest.MonkeyPatch, method: str, code: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MlflowException("database or disk is full", error_code=module_code(code))

    def module_code(name: str) -> int:
        from mlflow.protos import databricks_pb2

        return int(getattr(databricks_pb2, name))

    monkeypatch.setattr(MlflowClient, method, fail)


def test_a_run_that_somebody_deletes_is_made_again(
    client: MlflowClient, parent: str, net_run: NetRun, journal: Journal, unsent: Path
) -> None:
    journal.record(net_run, {"loss": 1.0}, step=1)
    deleted = net_run.open()
    client.delete_run(deleted)
    journal.record(net_run, {"loss": 0.5}, step=2)
    made = net_run.open()
    assert made != deleted
    assert history(client, made, "loss") == [(2, 0.5)]
    assert client.get_run(made).data.params == client.get_run(deleted).data.params
    assert not unsent.exists()


def test_entries_go_to_a_run_that_is_made_once(
    client: MlflowClient, parent: str, net_run: NetRun, journal: Journal, unsent: Path
) -> None:
    journal.record(net_run, {"loss": 2.0}, step=1)
    journal.record(net_run, {"loss": 1.0, "test_accuracy": 0.5}, step=2)
    # a training that is taken up tells its first epochs again
    journal.record(net_run, {"loss": 2.0}, step=1)
    journal.record(net_run, {}, status="FINISHED")
    (run,) = children(client, parent)
    assert run.info.run_name == "mnist.l2"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"radius": "1.2"}
    assert run.data.tags["robustify.net"] == "l2"
    assert history(client, run.info.run_id, "loss") == [(1, 2.0), (2, 1.0)]
    assert not unsent.exists()


def test_what_mlflow_does_not_take_waits_and_is_sent_in_order(
    client: MlflowClient,
    parent: str,
    net_run: NetRun,
    journal: Journal,
    unsent: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.MonkeyPatch.context() as broken:
        break_down(broken, "log_batch", "TEMPORARILY_UNAVAILABLE")
        journal.record(net_run, {"loss": 2.0}, step=1)
        journal.record(net_run, {"loss": 1.0}, step=2)
        journal.deliver()
    assert "metrics wait in" in caplog.text
    waiting = [json.loads(line) for line in unsent.read_text().splitlines()]
    assert [(entry["step"], entry["metrics"]) for entry in waiting] == [
        (1, {"loss": 2.0}),
        (2, {"loss": 1.0}),
    ]
    # the run was made before MLflow broke down, its parameters weren't
    (run,) = children(client, parent)
    assert run.data.params == {}
    journal.record(net_run, {"loss": 0.5}, step=3)
    (run,) = children(client, parent)
    assert run.data.params == {"radius": "1.2"}
    assert history(client, run.info.run_id, "loss") == [(1, 2.0), (2, 1.0), (3, 0.5)]
    assert not unsent.exists()


def test_what_mlflow_will_never_take_is_dropped_and_said(
    client: MlflowClient,
    parent: str,
    journal: Journal,
    unsent: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal.record("0" * 32, {"loss": 1.0})
    assert "MLflow refuses metrics, which are dropped" in caplog.text
    assert not unsent.exists()


def test_what_a_nets_run_will_never_take_is_dropped_and_what_follows_is_sent(
    client: MlflowClient, net_run: NetRun, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """The run is there; it is the name that MLflow refuses, and to look the run up again changes nothing."""
    journal.record(net_run, {"bad|name": 1.0}, step=1)
    assert "MLflow refuses metrics, which are dropped" in caplog.text
    journal.record(net_run, {"loss": 0.5}, step=1)
    assert history(client, net_run.open(), "loss") == [(1, 0.5)]


def test_what_is_measured_anew_takes_the_place_of_the_old_value(
    client: MlflowClient, parent: str, journal: Journal
) -> None:
    for value in (0.5, 0.9, 0.9, 0.5):
        journal.record(parent, {"adversarial_set_accuracy": value})
    assert client.get_run(parent).data.metrics == {"adversarial_set_accuracy": 0.5}
    assert history(client, parent, "adversarial_set_accuracy") == [(0, 0.5), (0, 0.9), (0, 0.5)]


def test_entries_of_another_server_wait_for_it(
    client: MlflowClient, parent: str, journal: Journal, unsent: Path, tmp_path: Path
) -> None:
    here = mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as broken:
        break_down(broken, "get_run", "INTERNAL_ERROR")
        journal.record(parent, {"loss": 1.0})
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")
    journal.deliver()
    assert len(unsent.read_text().splitlines()) == 1
    mlflow.set_tracking_uri(here)
    journal.deliver()
    assert not unsent.exists()
    assert history(client, parent, "loss") == [(0, 1.0)]


@pytest.mark.parametrize("content", ["{cut sho", '{"run": {}}\n', "[1, 2]\n"])
def test_a_file_that_is_not_ours_is_left_aside(
    journal: Journal, unsent: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    unsent.parent.mkdir()
    unsent.write_text(content)
    journal.deliver()
    assert "isn't readable" in caplog.text
    assert not unsent.exists()
    assert unsent.with_suffix(".unreadable").read_text().splitlines() == content.splitlines()


def test_a_damaged_line_keeps_no_other_from_being_sent(
    client: MlflowClient, parent: str, journal: Journal, unsent: Path
) -> None:
    with pytest.MonkeyPatch.context() as broken:
        break_down(broken, "log_batch", "TEMPORARILY_UNAVAILABLE")
        journal.record(parent, {"loss": 2.0}, step=1)
    line = unsent.read_text()
    entry = json.loads(line)
    damaged = [
        {**entry, "run": {"id": 3}},
        {**entry, "run": {"id": parent, "name": "mnist.l2"}},
        {**entry, "run": "r"},
        {**entry, "metrics": [1.0]},
        {**entry, "metrics": {"loss": "low"}},
        {**entry, "step": 1.5},
        {**entry, "step": 10**30},
        {**entry, "timestamp": -1},
        {**entry, "status": "DONE"},
        {**entry, "more": 1},
        3,
    ]
    unsent.write_text(
        "\n".join([*map(json.dumps, damaged[:4]), line.strip(), *map(json.dumps, damaged[4:])])
    )
    journal.deliver()
    assert history(client, parent, "loss") == [(1, 2.0)]
    assert not unsent.exists()
    aside = unsent.with_suffix(".unreadable").read_text().splitlines()
    assert [json.loads(one) for one in aside] == damaged


def test_a_journal_that_cannot_be_mended_stops_nothing(
    journal: Journal, unsent: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unsent.parent.mkdir()
    unsent.write_text("[" * 200_000)
    # in the way of what is put aside
    unsent.with_suffix(".unreadable").mkdir()
    journal.deliver()
    assert "can't be written: Is a directory" in caplog.text
    assert not unsent.exists()
    unsent.mkdir()
    journal.deliver()
    assert "can't be read: Is a directory" in caplog.text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://ann:hunter2@host/x", "http://host/x"),
        ("http://ann:hun@ter2@host", "http://host"),
        ("postgresql://ann:hun/ter2@host/db", "postgresql://host/db"),
        ("postgresql://ann:hun ter2@host/db", "postgresql://host/db"),
        ("https://host/?password=hunter2&x=1", "https://host/?password=...&x=1"),
        ("https://host/?sslpassword=hunter2", "https://host/?sslpassword=..."),
        (
            "https://host/?api_key=hunter2;authorization=hunter2",
            "https://host/?api_key=...;authorization=...",
        ),
        ("https://host/?monkey=banana", "https://host/?monkey=banana"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
    ],
)
def test_addresses_are_shown_without_credentials(address: str, shown: str) -> None:
    assert without_credentials(address) == shown
    assert without_credentials(f"no answer from {address}") == f"no answer from {shown}"


def test_no_password_is_written_down(
    parent: str, journal: Journal, unsent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mlflow, "get_tracking_uri", lambda: "https://ann:hunter2@mlflow.example/?token=hunter2&x=1"
    )
    with pytest.MonkeyPatch.context() as broken:
        break_down(broken, "get_run", "TEMPORARILY_UNAVAILABLE")
        journal.record(parent, {"loss": 1.0})
    written = json.loads(unsent.read_text())
    assert written["tracking_uri"] == "https://mlflow.example/?token=...&x=1"
    assert "hunter2" not in unsent.read_text()


def test_a_disk_that_takes_nothing_either_costs_a_warning(
    client: MlflowClient,
    parent: str,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(path: Path) -> None:
        raise InputError(f"{path} couldn't be written: No space left on device")

    monkeypatch.setattr(module, "replacing", refuse)
    break_down(monkeypatch, "get_run", "TEMPORARILY_UNAVAILABLE")
    with caplog.at_level(logging.WARNING):
        journal.record(parent, {"loss": 1.0})
    assert "No space left on device" in caplog.text


def test_a_server_that_hangs_is_left_alone_for_a_while(
    client: MlflowClient, net_run: NetRun, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = [1000.0], []

    def hang(*_: object, **__: object) -> None:
        asked.append(now[0])
        now[0] += 20
        raise MlflowException("timed out")

    monkeypatch.setattr(module, "_asked_again", {})
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "get_run", hang)
        for step in range(1, 4):
            journal.record(net_run, {"loss": 1.0 / step}, step=step)
    assert asked == [1000.0]
    # it answers again, but isn't asked before its time
    now[0] += module.PAUSE_SECONDS - 1
    journal.record(net_run, {"loss": 0.25}, step=4)
    assert children(client, net_run.parent) == []
    now[0] += 2
    journal.record(net_run, {"loss": 0.2}, step=5)
    (run,) = children(client, net_run.parent)
    assert [step for step, _ in history(client, run.info.run_id, "loss")] == [1, 2, 3, 4, 5]
