"""Runs that are killed again and again, compared with one that nothing disturbed.

Usage: python -m tests.end_to_end.killing --kills 20
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient

from .project import Project, without_times


def run_with_kills(
    project: Project, run: Sequence[str], kills: int, seconds: float, draw: random.Random
) -> list[float]:
    """Start the run, kill it at a random instant, start it again, and at last let it end; return the instants.

    A run that ends before its instant isn't killed: no more are. Nor is one killed that is over for MLflow and whose
    process alone is still about: the next would rightly be another run.
    """
    instants: list[float] = []
    while len(instants) < kills:
        process = project.start(*run)
        instant = round(draw.uniform(1, seconds), 2)
        try:
            if process.wait(instant) == 0:
                return instants
            raise RuntimeError(f"a run that nobody killed ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        instants.append(instant)
        if any(status == "FINISHED" and "." not in name for name, status in runs_of(project.store)):
            return instants
    project.kedro(*run)
    return instants


def differences(project: Project, whole: Project, experiment: str = "mnist") -> list[str]:
    """Return in what a run that was disturbed differs from one that wasn't, times left out."""
    found = []
    if without_times(project.results(experiment)) != without_times(whole.results(experiment)):
        found.append("results.json")
    for path in sorted((whole.folder / "data/06_models" / experiment).glob("*.safetensors")):
        other = project.folder / path.relative_to(whole.folder)
        if not other.is_file() or other.read_bytes() != path.read_bytes():
            found.append(path.name)
    logged = set(map(tuple, epochs_logged(project.store).values()))
    if logged != set(map(tuple, epochs_logged(whole.store).values())):
        found.append(f"epochs in MLflow: {logged}")
    found += [str(path) for path in project.folder.rglob("*.partial*")]
    return found


def runs_of(store: str) -> Counter[tuple[str, str]]:
    """Return how often each name and status occurs among the runs of a store."""
    return Counter((run.info.run_name, run.info.status) for run in _runs(MlflowClient(store)))


def epochs_logged(store: str) -> dict[str, list[int]]:
    """Return the steps of each net's test accuracy."""
    client = MlflowClient(store)
    return {
        run.info.run_name: [
            metric.step for metric in client.get_metric_history(run.info.run_id, "test_accuracy")
        ]
        for run in _runs(client)
        if "." in run.info.run_name
    }


def _runs(client: MlflowClient) -> list:
    experiment = client.get_experiment_by_name("robustify")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def main() -> None:
    """Kill the quick pipelines and say what differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--experiment", default="mnist")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30.0, help="until a kill, at most")
    options = parser.parse_args()
    run = ("run", f"--pipeline={options.experiment}_robust", "--env=quick")
    with tempfile.TemporaryDirectory() as folder:
        whole, disturbed = Path(folder) / "whole", Path(folder) / "disturbed"
        whole.mkdir()
        disturbed.mkdir()
        reference, project = Project(whole), Project(disturbed)
        started = time.monotonic()
        reference.kedro(*run)
        seconds = time.monotonic() - started
        print(f"undisturbed: {seconds:.0f} s")
        # short enough that twenty of them fit into a run that goes on after each
        limit = min(seconds, options.seconds)
        instants = run_with_kills(project, run, options.kills, limit, random.Random(options.seed))
        print(f"killed {len(instants)} times, after {instants} s")
        print(f"differences: {differences(project, reference, options.experiment) or 'none'}")
        print(f"runs in MLflow: {dict(runs_of(project.store))}")


if __name__ == "__main__":
    main()
