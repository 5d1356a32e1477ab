"""One hash over all that decides a trained net's weights: configuration, data, code and where it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

PACKAGE = Path(__file__).parent

# what dvc.yaml lists as the code of a training, too
CODE = (
    "augmentation.py",
    "course.py",
    "devices.py",
    "maximisers.py",
    "measurement.py",
    "nets",
    "objectives",
    "optimisers.py",
    "pipelines/training",
    "recipe.py",
    "tangents.py",
    "training.py",
    "uncertainty.py",
)


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the settings, the training code and PyTorch's version.

    Args:
        settings: whatever else decides the outcome, as JSON can say it.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(torch.__version__.encode())
    for path in sorted(_sources()):
        digest.update(f"{path.relative_to(PACKAGE)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> list[Path]:
    found = []
    for name in CODE:
        path = PACKAGE / name
        found += [path] if path.is_file() else list(path.rglob("*.py"))
    return found
