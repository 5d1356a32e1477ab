"""Registers the outputs of a plain ``kedro run`` with DVC, as if ``dvc repro`` had made them.

Usage: python -m robustify.registration EXPERIMENT
"""

from __future__ import annotations

import argparse
import configparser
import subprocess
import sys
from pathlib import Path

import yaml

from robustify.errors import InputError
from robustify.files.exclusive import exclusive

# what Kedro reads
_CONFIGURATION = (".yml", ".yaml", ".json")
# all other stages of an experiment lead to it, and DVC reads and writes dvc.lock once a target
LAST = "report"


def register(experiment: str) -> int:
    """Commit the experiment's stages to DVC and return the exit status.

    Args:
        experiment: its name, or ``__default__`` for all.
    """
    if any(path.suffix in _CONFIGURATION for path in Path("conf/local").rglob("*")):
        print("conf/local overrides parameters: not registered with DVC, which knows conf/base")  # noqa: T201
        return 0
    if not Path(".git").exists() and not _without_git():
        told = (
            "not registered with DVC: it asks for a git repository, or dvc config core.no_scm true"
        )
        print(told)  # noqa: T201
        return 0
    stages = Path("dvc.yaml")
    if not stages.is_file():
        print("there is no dvc.yaml here; run this in the project's folder")  # noqa: T201
        return 2
    try:
        known = _registered(stages.read_text())
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        print(f"not registered with DVC: dvc.yaml isn't as it should be: {reason}")  # noqa: T201
        return 2
    if experiment != "__default__" and experiment not in known:
        told = f"not registered with DVC: what it registers after a run are the experiments {', '.join(known)}, not {experiment}"
        print(told)  # noqa: T201
        return 0
    experiments = known if experiment == "__default__" else [experiment]
    names = [f"{name}_{LAST}" for name in experiments]
    command = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force", "--with-deps", *names]
    try:
        with exclusive(experiments):
            status = subprocess.run(command, check=False).returncode
    except InputError as error:
        # half of what a run writes isn't the outcome of anything
        print(f"not registered with DVC: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if status == 0:
        print("outputs registered with DVC; dvc.lock is up to date")  # noqa: T201
    else:
        # quiet, DVC may say nothing of why
        told = f"not registered with DVC: its commit of {', '.join(names)} ended with status {status}; are all outputs there?"
        print(told, file=sys.stderr)  # noqa: T201
    return status


def _registered(stages: str) -> list[str]:
    """Return the experiments of which dvc.yaml has a last stage."""
    content = yaml.safe_load(stages)
    named = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(named, dict):
        raise ValueError("it names no stages")
    return [str(name).removesuffix(f"_{LAST}") for name in named if str(name).endswith(f"_{LAST}")]


def _without_git() -> bool:
    """Return whether DVC has been told to do without git."""
    told = configparser.ConfigParser(interpolation=None)
    try:
        told.read([Path(".dvc") / name for name in ("config", "config.local")])
        return told.getboolean("core", "no_scm", fallback=False)
    except (configparser.Error, ValueError):
        # DVC will say so itself
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("experiment", help="its name, or __default__ for all")
    sys.exit(register(parser.parse_args().experiment))
