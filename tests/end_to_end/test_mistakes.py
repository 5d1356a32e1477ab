"""What a user gets wrong ends in one line, before any work."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from .project import Project, needs_namespaces

RUN = ("run", "--pipeline=mnist_robust", "--env=quick")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


def refusal(project: Project, *arguments: str, **environment: str) -> str:
    refused = project.kedro(*arguments, check=False, **environment)
    told = " ".join((refused.stdout + refused.stderr).split())
    assert refused.returncode != 0
    assert "Traceback" not in told
    assert not (project.folder / "data/06_models").exists()
    return told.partition("Error: ")[2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "mnist: {seeed: 1, training: {epochs: 0}, nets: {l2: {uncertainty_set: {radus: 1}}}}",
            "mnist.training.epochs: Input should be greater than or equal to 1 (got 0)"
            "|mnist.seeed: is unknown; did you mean seed?"
            "|mnist.nets.l2.uncertainty_set.radus: is unknown to 'l2'; did you mean radius?",
        ),
        ("- 1", "{path} must hold a mapping, 'name: value' on each line"),
        ("mnist: [", "{path}: while parsing a flow"),
        ("mnist: 3", "mnist: must be a mapping of parameters"),
        ("mnist: {seed: 1}\nmnist: {seed: 2}", "{path}: while constructing a mapping"),
    ],
)
def test_a_mistake_in_a_file_of_parameters_is_one_line(
    project: Project, content: str, expected: str
) -> None:
    path = project.folder / "conf/local/parameters_mine.yml"
    path.write_text(content)
    try:
        told = refusal(project, "run", "--pipeline=mnist_robust")
        assert all(part in told for part in expected.format(path=path).split("|"))
    finally:
        path.unlink()


def test_a_mistake_in_mlflows_configuration_is_one_line(project: Project) -> None:
    path = project.folder / "conf/local/mlflow.yml"
    path.write_text("trackin: {x: 1}")
    try:
        assert "configuration of 'mlflow': trackin: Extra inputs" in refusal(project, "run")
    finally:
        path.unlink()


def test_an_environment_that_is_not_there_is_named_with_those_that_are(project: Project) -> None:
    told = refusal(project, "run", "--pipeline=mnist_robust", "--env=qick")
    assert (
        "did you mean quick?; it has base, few_images, float32, local, paper, quick, robust" in told
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("--pipeline=mnist_robst", "'mnist_robst'.*Did you mean.*mnist_robust"),
        ("--nodes=mnist.baselin.train", "no.* nodes named.*'mnist.baselin.train'"),
        ("--from-nodes=nothing", "no.* nodes named.*'nothing'"),
        ("--namespaces=mnist.l5", "namespaces.*'mnist.l5'"),
        ("--tags=l5", "no node chosen has the tag 'l5'; tags are"),
    ],
)
def test_a_choice_that_is_not_there_is_one_line(
    project: Project, choice: str, expected: str
) -> None:
    told = refusal(project, *RUN, choice)
    assert re.search(expected, told)
    assert "'kedro registry list' tells the pipelines" in told


def test_a_tag_that_selects_nothing_is_refused_beside_one_that_does(project: Project) -> None:
    told = refusal(project, *RUN, "--tags=l2,linff,l2")
    assert (
        "no node chosen has the tag 'linff'; did you mean linf?; tags are adversarial_set" in told
    )


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("nothing://there", "unsupported URI"),
        ("sqlite:////dev/null/mlflow.db", "File exists"),
        ("postgresql://ann:hunter2@127.0.0.1/runs", "psycopg"),
        ("sqlite:////tmp", "is a folder"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_a_store_that_cannot_be_is_one_line_in_seconds(
    project: Project, store: str, reason: str
) -> None:
    started = time.monotonic()
    told = refusal(project, *RUN, MLFLOW_TRACKING_URI=store)
    assert time.monotonic() - started < 30
    assert reason in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("{type: pandas.CSVDataset, filepat: a.csv}", "unexpected keyword argument 'filepat'"),
        ("{type: pandas.CSVDatase, filepath: a.csv}", "'CSVDatase' not found in 'pandas'"),
    ],
)
def test_a_mistake_in_the_catalog_is_one_line(project: Project, entry: str, reason: str) -> None:
    path = project.folder / "conf" / "quick" / "catalog.yml"
    path.write_text(f"mine: {entry}\n")
    try:
        told = refusal(project, *RUN)
    finally:
        path.unlink()
    assert told.startswith("configuration of 'catalog': ")
    assert reason in told


def test_a_store_that_mlflow_yml_names_is_looked_at_too(project: Project) -> None:
    path = project.folder / "conf" / "quick" / "mlflow.yml"
    path.write_text("server: {mlflow_tracking_uri: 'sqlite:////proc/mlflow.db'}\n")
    started = time.monotonic()
    try:
        told = refusal(project, *RUN)
    finally:
        path.unlink()
    assert time.monotonic() - started < 60
    assert "sqlite:////proc/mlflow.db takes nothing (/proc can't be written)" in told


@needs_namespaces
def test_a_store_in_a_folder_that_cannot_be_written_is_one_line_in_seconds(
    project: Project, tmp_path: Path
) -> None:
    started = time.monotonic()
    refused = project.kedro(
        *RUN,
        check=False,
        before=f"mount -t tmpfs -o ro tmpfs {tmp_path}",
        MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db",
    )
    assert time.monotonic() - started < 30
    assert refused.returncode != 0
    told = " ".join((refused.stdout + refused.stderr).split())
    assert f"{tmp_path} can't be written); make it writable" in told


def test_a_net_that_transfer_is_to_be_measured_on_must_be_there(project: Project) -> None:
    told = refusal(
        project,
        "run",
        "--pipeline=mnist_seeds",
        "--params=mnist.across_seeds.transfer.also.mine=nets/mine.safetensors",
    )
    assert "mnist.across_seeds.transfer.also.mine: there is no file nets/mine.safetensors" in told
