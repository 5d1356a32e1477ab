"""The whole project on a device that isn't the CPU.

No GPU is needed: PyTorch is given a device of its own whose tensors, like a GPU's, mix with no others. What would end a run on a GPU
(a tensor left behind, a generator of the wrong device, NumPy asked too early) ends it there, too. Its numbers are the CPU's, so answers
must be the same. What is GPUs' own, such as kernels, speed and bfloat16, it can't show.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ..conftest import PROJECT
from ..end_to_end.project import Project
from .backend import build

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the second device is compiled")

MIXING = """
import sys
from pathlib import Path

import torch

from tests.second_device.backend import load

device = load(Path(sys.argv[1]))
there, here = torch.ones(3, device=device), torch.ones(3)
mistakes = {
    "sum": lambda: there + here,
    "product": lambda: there @ here,
    "concatenation": lambda: torch.cat([there, here]),
    "index of the CPU's": lambda: here[torch.zeros(1, dtype=torch.int64, device=device)],
    "convolution": lambda: torch.nn.Conv2d(1, 1, 1)(torch.ones(1, 1, 2, 2, device=device)),
    "generator": lambda: torch.rand(3, device=device, generator=torch.Generator()),
    "numpy": lambda: there.numpy(),
}
for name, mistake in mistakes.items():
    try:
        mistake()
    except (RuntimeError, TypeError):
        continue
    raise SystemExit(f"{name}: the second device let it pass")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("second_device"))


def python(*arguments: str | Path, folder: Path = PROJECT) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"},
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


def test_its_tensors_mix_with_no_others(library: Path) -> None:
    python("-c", MIXING, library)


def test_answers_are_those_of_the_cpu(library: Path, tmp_path: Path) -> None:
    python("-m", "tests.second_device.answers", tmp_path / "here")
    python("-m", "tests.second_device.answers", tmp_path / "there", library)
    here, there = load_file(tmp_path / "here"), load_file(tmp_path / "there")
    assert here.keys() == there.keys()
    standing = [int(mask.sum()) for name, mask in here.items() if name.endswith(".standing")]
    assert min(standing) < max(standing), "no attack broke anything, which says little"
    for name, answer in here.items():
        # in the last bits of what is differentiated twice
        torch.testing.assert_close(there[name], answer, rtol=1e-4, atol=1e-6, msg=name)


def test_the_graph_runs_there(library: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    small = "data.training_images=200,data.test_images=100,training.epochs=1"
    parameters = ",".join(f"mnist.{one}" for one in small.split(","))
    python(
        Path(__file__).with_name("kedro_there.py"),
        *(library, "run", "--env=quick", "--pipeline=mnist_robust", f"--params={parameters}"),
        folder=tmp_path,
    )
    assert list(project.results("mnist")["nets"]) == ["baseline", "control", "l1", "l2", "linf"]
