"""Runs from a script or notebook, whose process goes on after a run was refused or stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .project import Project

SCRIPT = """
import signal
from pathlib import Path

from kedro.framework.hooks import hook_impl
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
signal.signal(signal.SIGINT, signal.default_int_handler)


class Interrupting:
    @hook_impl
    def before_node_run(self):
        signal.raise_signal(signal.SIGINT)


def run(*hooks, **parameters):
    with KedroSession.create(runtime_params={"mnist": parameters}) as session:
        for hook in hooks:
            session._hook_manager.register(hook)
        try:
            session.run(pipeline_names=["mnist_robust"], node_names=["mnist.ingest"])
            outcome = "finished"
        except BaseException as ended:
            outcome = type(ended).__name__ + " " + str(ended).partition("\\n")[0]
    print("OUTCOME", outcome, signal.getsignal(signal.SIGINT) is signal.default_int_handler)


run(seed=-1)
run(Interrupting())
run()
"""


def test_after_a_refused_or_stopped_run_the_next_one_begins(tmp_path: Path) -> None:
    project = Project(tmp_path)
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=project.folder, capture_output=True, text=True,
        # by itself it would be the store of whoever runs the tests
        env={**os.environ, "MLFLOW_TRACKING_URI": project.store},
    )  # fmt: skip
    outcomes = [line for line in told.stdout.splitlines() if line.startswith("OUTCOME")]
    assert len(outcomes) == 3, told.stdout[-3000:] + told.stderr[-3000:]
    assert "seed" in outcomes[0]
    assert outcomes[1] == "OUTCOME SystemExit 130 True"
    assert outcomes[2] == "OUTCOME finished True"
    assert outcomes[0].endswith("True")
