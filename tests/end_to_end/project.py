"""A copy of the project for tests that run the whole DAG."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from robustify.ingestion.acquisition import acquire

from ..conftest import PROJECT

# that the command is there doesn't say that it is allowed to
needs_namespaces = pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="a full or read-only file system takes a mount namespace",
)


def few_attacks(experiment: str) -> str:
    """Return the parameters of a brief verification of few images, for runs in which its numbers don't count."""
    brief = f"{experiment}.verification.brief"
    return f"{brief}.images=20,{brief}.gates.images=12,{brief}.gates.steps=4"


class Project:
    """A copy of the project with data, store and results of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = 0.0
        for name in ("conf", "notebooks", "src", "pyproject.toml", ".telemetry"):
            source = PROJECT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        raw = PROJECT / "data" / "01_raw"
        acquire("mnist", raw_directory=raw)
        acquire("cifar10", raw_directory=raw)
        (folder / "data").mkdir()
        (folder / "data" / "01_raw").symlink_to(raw)

    @classmethod
    def at(cls, folder: Path) -> Project:
        """The project that lies in a folder already."""
        project = cls.__new__(cls)
        project.folder, project.seconds = folder, 0.0
        return project

    @property
    def store(self) -> str:
        """Address of the project's own MLflow store."""
        return f"sqlite:///{self.folder}/mlflow.db"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a run whose output goes to ``run.log``."""
        with (self.folder / "run.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "kedro", *arguments],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                text=True,
                env={**os.environ, "MLFLOW_TRACKING_URI": self.store, **environment},
            )

    def kedro(
        self,
        *arguments: str,
        check: bool = True,
        before: str = "",
        after: str = "true",
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run Kedro to its end; between shell commands, in a mount namespace of its own, if there are any."""
        command = [sys.executable, "-m", "kedro", *arguments]
        if before:
            script = f"{before}\n{shlex.join(command)} || status=$?\n{after}\nexit ${{status:-0}}"
            command = ["unshare", "-rm", "sh", "-ec", script]
        finished = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, "MLFLOW_TRACKING_URI": self.store, **environment},
        )
        assert finished.returncode == 0 or not check, (finished.stdout + finished.stderr)[-5000:]
        return finished

    def results(self, experiment: str) -> dict:
        return json.loads(
            (self.folder / f"data/08_reporting/{experiment}/results.json").read_text()
        )


def without_times(value: object) -> object:
    """Return a JSON value without the entries that say how long something took."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not k.startswith("seconds")}
    return value
