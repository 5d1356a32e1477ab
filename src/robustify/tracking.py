"""What MLflow is told while and after a net is trained; silent where no MLflow run is open."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustify.storage import TrainedNet
    from robustify.training import Epoch

WEIGHTS_TAG = "robustify.weights_sha256"


def log_epoch(epoch: Epoch) -> None:
    """Log an epoch's loss, test accuracy and seconds to the net's run, as it ends."""
    import mlflow

    if mlflow.active_run() is not None:
        mlflow.log_metrics(epoch.metrics(), step=epoch.epoch)


def log_trained_net(trained: TrainedNet) -> None:
    """Log the net itself, in a form that needs no pickle to load, and the hashes that identify it."""
    import mlflow
    import numpy as np
    import torch

    provenance = trained.provenance
    mlflow.set_tags(
        {
            "robustify.data_sha256": provenance["training_data"]["data_sha256"],
            WEIGHTS_TAG: weights_sha256(trained),
        }
    )
    shape = _input_shape(provenance["training_data"]["data"])
    example = np.zeros((2, *shape), dtype=np.float32)
    mlflow.pytorch.log_model(
        trained.net.to("cpu").eval(),
        name="model",
        input_example=example,
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
        export_model=True,
    )


def weights_sha256(trained: TrainedNet) -> str:
    """Return the SHA-256 of the net's weights, as its file's header has it."""
    from robustify.storage import tensors_sha256

    return tensors_sha256(dict(trained.net.state_dict()))


def log_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Log what was measured of a net to its run."""
    import mlflow

    mlflow.log_metrics(
        {
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
    )


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
