"""Registers the outputs of a plain ``kedro run`` with DVC, as if ``dvc repro`` had made them.

Usage: python -m robustify.registration EXPERIMENT
"""

from __future__ import annotations

import subprocess
import sys

STAGES = ("ingest", "train", "attack", "evaluate", "report")


def register(experiment: str) -> int:
    """Commit the experiment's stages to DVC and return the exit status.

    Args:
        experiment: its name, or ``__default__`` for all.
    """
    names = [] if experiment == "__default__" else [f"{experiment}_{stage}" for stage in STAGES]
    command = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force", *names]
    status = subprocess.run(command, check=False).returncode
    if status == 0:
        print("outputs registered with DVC; dvc.lock is up to date")  # noqa: T201
    return status


if __name__ == "__main__":
    sys.exit(register(sys.argv[1]))
