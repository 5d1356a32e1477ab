from __future__ import annotations

import subprocess
import sys

from .conftest import PROJECT


def test_listing_pipelines_imports_neither_torch_nor_mlflows_server() -> None:
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kedro", "registry", "list"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "robustify.pipeline_registry" in imported
    assert not imported & {"torch", "torchvision", "mlflow.server", "matplotlib.pyplot"}
    for name in (
        "mnist_robust", "cifar_robust", "mnist_verification", "cifar_verification",
        "mnist_objectives", "mnist_readings", "mnist_seeds", "cifar_seeds", "verification", "objectives", "readings",
        "seeds", "__default__",
    ):  # fmt: skip
        assert f"- {name}" in finished.stdout
