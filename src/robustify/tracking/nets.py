"""What MLflow is told while and after a net is trained; silent where no MLflow run is open."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robustify.placement import folder_of
from robustify.tracking.journal import Journal, NetRun

if TYPE_CHECKING:
    from robustify.storage import TrainedNet
    from robustify.training import Epoch

REPORTING = Path("data/08_reporting")
WEIGHTS_TAG = "robustify.weights_sha256"
RUN_KEY_TAG = "robustify.run_key"


# the runs of the nets that this process trains, by experiment and net
_runs: dict[str, NetRun] = {}


def register_run(run: NetRun) -> None:
    """Let what is measured of the net go to this run."""
    _runs[run.name] = run


def forget_runs() -> None:
    """Tell MLflow of no net any more."""
    _runs.clear()


def run_of(title: str) -> NetRun | None:
    """Return the run of a net, e.g. ``mnist.l2``, if this process trains it."""
    return _runs.get(title)


def reporting_folder(experiment: str, parameters: Mapping[str, Any]) -> Path:
    """Return where the report of an experiment with these parameters lies."""
    return REPORTING / folder_of(experiment, parameters["seed"], parameters.get("folder"))


def journal_of(title: str) -> Journal:
    """Return the journal of the experiment that the net or experiment ``title`` belongs to."""
    return Journal(REPORTING / title.partition(".")[0])


def log_epoch(title: str, epoch: Epoch) -> None:
    """Log an epoch's loss, test accuracy and seconds to the net's run, as it ends."""
    run = run_of(title)
    if run is not None:
        journal_of(title).record(run, epoch.metrics(), step=epoch.epoch)


def log_trained_net(trained: TrainedNet) -> None:
    """Log the net to the active run, in a form that needs no pickle to load, and the hashes that identify it."""
    import mlflow
    import numpy as np
    import torch

    active = mlflow.active_run()
    if active is None:
        return
    sha256 = weights_sha256(trained)
    if mlflow.get_run(active.info.run_id).data.tags.get(WEIGHTS_TAG) == sha256:
        return
    provenance = trained.provenance
    shape = _input_shape(provenance["training_data"]["data"])
    example = np.zeros((2, *shape), dtype=np.float32)
    mlflow.pytorch.log_model(
        trained.net.to("cpu").eval(),
        name="model",
        input_example=example,
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
        serialization_format="pt2",
        # it would be loaded again and run, once a net
        validate_serving_input=False,
    )
    mlflow.set_tags(
        {
            "robustify.data_sha256": provenance["training_data"]["data_sha256"],
            WEIGHTS_TAG: sha256,
        }
    )


def weights_sha256(trained: TrainedNet) -> str:
    """Return the SHA-256 of the net's weights, as its file's header has it."""
    from robustify.storage import tensors_sha256

    return tensors_sha256(dict(trained.net.state_dict()))


def evaluation_metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Return what was measured of a net, as MLflow's metrics."""
    return {
        "test_accuracy_final": evaluation["test_accuracy"],
        "adversarial_set_accuracy": evaluation["adversarial_set_accuracy"],
        **{
            f"adversarial_set_accuracy_{norm}": share
            for norm, share in evaluation["adversarial_set_accuracy_by_norm"].items()
        },
        **{
            f"fgsm_accuracy_epsilon_{epsilon}": share
            for epsilon, share in evaluation["epsilon_sweep"].items()
        },
    }


def verification_metrics(verification: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Return what survived of a net's accuracy, as MLflow's metrics.

    Args:
        verification: see :func:`robustify.verification.verify`.
        prefix: of every name.
    """
    return {
        f"{prefix}_failed_gates": float(len(verification["failed_gates"])),
        **{
            f"{prefix}_{row['norm']}_{row['epsilon']:.6g}_{row['attack']}": row["accuracy"]
            for row in verification["measured"]
        },
    }


def find_unfinished(run_key: str, experiment: str) -> str | None:
    """Return the id of the latest pipeline run of this key that never came to its end, if there is one."""
    import mlflow

    found = mlflow.search_runs(
        experiment_names=[experiment],
        filter_string=f"tags.`{RUN_KEY_TAG}` = '{run_key}' and attributes.status != 'FINISHED'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    return str(found[0].info.run_id) if found else None


def find_run(sha256: str) -> str | None:
    """Return the id of the latest run that trained a net with these weights, if there is one."""
    import mlflow

    found = mlflow.search_runs(
        filter_string=f"tags.`{WEIGHTS_TAG}` = '{sha256}'",
        order_by=["attributes.start_time DESC"],
        max_results=1,
        output_format="list",
    )
    return found[0].info.run_id if found else None


def git_commit() -> str:
    """Return the commit of the code, marked if the working tree differs from it, or ``unknown``."""
    try:
        output = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return output.stdout.strip()


def flatten(parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested parameters as one level with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in parameters.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _input_shape(data: str) -> tuple[int, int, int]:
    from robustify.ingestion.specification import specification_of

    return specification_of(data).image_shape
