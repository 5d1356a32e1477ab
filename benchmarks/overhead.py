"""What Kedro, MLflow and DVC cost on the quick pipeline: the share of its wall time that isn't the library's own work.

`kedro run --pipeline=cifar_robust --env=quick` (or another experiment's) runs in a temporary copy of the project with an MLflow store of its own, made beforehand; then its
outputs are registered with DVC, as `make run` does after a run that isn't a quick one. The library's own work is what the run itself notes down: training
seconds of every epoch, the seconds of the attack, of every evaluation and of every verification. All else counts as
overhead, also what is no fault of the three: imports, reading data, accuracy after each epoch, figures. So the
share is an upper bound.

The peer is the same work as a plain script: --plain also calls the nodes one after another in a process without Kedro, MLflow
and DVC, and gives the share of the whole that this saves.

    .venv/bin/python benchmarks/overhead.py [--experiment cifar|mnist] [--plain] [--quick]

"ratio" is what the three cost against the plain script, as a share of the whole; without --plain it is the upper bound. "without_dvc" leaves out the registration; "first_run"
adds what a project pays once, MLflow's making of its store, a process of its own here. --quick takes 5,000 training and 1,000 test images, whose share is larger, for most of the overhead
doesn't grow with the images.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd

from measuring import parser, positive, print_json, print_table, run
from workload import PROJECT, own_command, settings_of

COPIED = (
    "conf",
    "src",
    "pyproject.toml",
    ".telemetry",
    "dvc.yaml",
    "dvc.lock",
    "requirements.lock",
)


def main() -> None:
    """Measure, and print the table and the line of JSON."""
    options = _parser().parse_args()
    if options.nodes:
        _run_nodes(options.experiment, json.loads(options.nodes))
        return
    experiment = options.experiment
    images = (5000, 1000) if options.quick else None
    images = (options.images, options.images) if options.images else images
    with tempfile.TemporaryDirectory() as folder:
        parts = _kedro(Path(folder), experiment, images)
    figures: dict[str, Any] = {"experiment": experiment}
    if options.plain:
        with tempfile.TemporaryDirectory() as folder:
            figures["plain_seconds"] = _plain(Path(folder), experiment, images)
    _report(parts, figures)


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--experiment", choices=["cifar", "mnist"], default="cifar")
    made.add_argument("--plain", action="store_true", help="also run the work as a plain script")
    made.add_argument("--images", type=positive, help="training and test images, at least 100")
    made.add_argument("--nodes", help=argparse.SUPPRESS)
    return made


def _report(parts: dict[str, float], figures: dict[str, Any]) -> None:
    total = parts["kedro run"] + parts["dvc commit"]
    work = sum(parts[name] for name in ("training", "attack", "evaluation", "verification"))
    rows = [[name, seconds, seconds / total] for name, seconds in parts.items()]
    rows.append(["overhead", total - work, (total - work) / total])
    if "plain_seconds" in figures:
        plain = figures["plain_seconds"]
        rows.append(["plain script", plain, plain / total])
    print_table(["part", "seconds", "share"], rows)
    bound = (total - work) / total
    share = (total - figures["plain_seconds"]) / total if "plain_seconds" in figures else bound
    if "plain_seconds" in figures:
        kedro = parts["kedro run"]
        figures["without_dvc"] = (kedro - figures["plain_seconds"]) / kedro
        first = total + parts["new store"]
        figures["first_run"] = (first - figures["plain_seconds"]) / first
    print_json(share, seconds=parts, overhead_seconds=total - work, upper_bound=bound, **figures)


def _copy_project(folder: Path) -> None:
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    # settings of this checkout alone don't belong to what is measured
    for override in (folder / "conf" / "local").glob("*.yml"):
        override.unlink()
    (folder / "data").mkdir()
    (folder / "data" / "01_raw").symlink_to(PROJECT / "data" / "01_raw")


def _kedro(folder: Path, experiment: str, images: tuple[int, int] | None) -> dict[str, float]:
    """Run the pipeline in a copy of the project and return the seconds of its parts."""
    _copy_project(folder)
    _run(folder, "dvc", "init", "--no-scm", "--quiet")
    arguments = ["run", f"--pipeline={experiment}_robust", "--env=quick"]
    if images:
        train, test = (f"{experiment}.data.{part}_images" for part in ("training", "test"))
        arguments.append(f"--params={train}={images[0]},{test}={images[1]}")
    store = _run(folder, "robustify.tracking.run_store")
    kedro = _run(folder, "kedro", *arguments)
    register = _run(folder, "robustify.registration", experiment)
    output = folder / "data" / "07_model_output" / experiment
    curves = [pd.read_csv(path) for path in sorted(output.glob("*/learning_curve.csv"))]
    attack = folder / "data" / "05_model_input" / experiment / "attack_time.json"
    return {
        "kedro run": kedro,
        "dvc commit": register,
        "new store": store,
        "training": float(sum(curve["seconds"].sum() for curve in curves)),
        "attack": _seconds_in(attack),
        **{
            kind: sum(_seconds_in(path) for path in output.glob(f"*/{kind}.json"))
            for kind in ("evaluation", "verification")
        },
    }


def _seconds_in(path: Path) -> float:
    return float(json.loads(path.read_text())["seconds"])


def _run(folder: Path, *command: str) -> float:
    """Run a Python module in the copy and return its seconds."""
    return _time_process([sys.executable, "-m", *command], folder)


def _time_process(command: list[str], folder: Path) -> float:
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "PYTHONPATH": str(folder / "src"),
        "DVC_NO_ANALYTICS": "1",
    }
    started = time.perf_counter()
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stdout}{finished.stderr}"[-3000:])
    return time.perf_counter() - started


def _plain(folder: Path, experiment: str, images: tuple[int, int] | None) -> float:
    """Return the seconds of the same work in a process without Kedro, MLflow and DVC."""
    _copy_project(folder)
    settings = settings_of(experiment, "quick")
    if images:
        settings["data"].update(training_images=images[0], test_images=images[1])
    arguments = ("--experiment", experiment, "--nodes", json.dumps(settings))
    return _time_process(own_command(__file__, *arguments), folder)


def _run_nodes(experiment: str, settings: dict[str, Any]) -> None:
    """Do the pipeline's work by calling its nodes, files written as the catalog would."""
    from robustify.pipelines.adversarial_set.nodes import make_adversarial_set
    from robustify.pipelines.evaluation.nodes import evaluate_net
    from robustify.pipelines.ingestion.nodes import ingest
    from robustify.pipelines.reporting.nodes import gather_results, write_report
    from robustify.pipelines.training.nodes import train_net
    from robustify.pipelines.verification.nodes import verify_net
    from robustify.storage import load_tensors, load_trained_net, save_net, save_tensors

    train, test = ingest(settings["data"])
    for name, part in (("training", train), ("test", test)):
        save_tensors(Path(f"data/{name}.safetensors"), part)
    train, test = (load_tensors(Path(f"data/{name}.safetensors")) for name in ("training", "test"))
    models, curves = {}, {}
    for name, member in settings["nets"].items():
        trained, curves[name] = train_net(
            train,
            test,
            settings["net"],
            settings["training"],
            settings["objective"],
            member,
            settings["seed"],
            settings["device"],
            title=f"{experiment}.{name}",
        )
        save_net(Path(f"data/{name}.safetensors"), trained)
        models[name] = load_trained_net(Path(f"data/{name}.safetensors"))
    device = settings["device"]
    found, seconds = make_adversarial_set(
        models["baseline"], test, settings["adversarial_set"], device
    )
    save_tensors(Path("data/adversarial_set.safetensors"), found)
    found = load_tensors(Path("data/adversarial_set.safetensors"))
    evaluations = [
        evaluate_net(model, test, found, settings["evaluation"], device)
        for model in models.values()
    ]
    verifications = [
        verify_net(
            model,
            test,
            settings["verification"],
            settings["seed"],
            device,
            models["baseline" if name != "baseline" else "control"],
            title=f"{experiment}.{name}",
            depth="brief",
        )
        for name, model in models.items()
    ]
    gathered = gather_results(
        found,
        seconds,
        settings["paper"],
        settings["seed"],
        device,
        *evaluations,
        *curves.values(),
        *verifications,
        experiment=experiment,
        nets=tuple(models),
    )
    report, figures = write_report(*gathered[:4], found, test, settings)
    Path("data/report.html").write_text(report)
    for name, figure in figures.items():
        figure.savefig(Path("data") / name)


if __name__ == "__main__":
    run(main)
