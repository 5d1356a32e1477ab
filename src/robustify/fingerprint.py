"""One hash over all that decides an outcome, such as a trained net's weights: configuration, data, code and where it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent

# what dvc.yaml lists as the code of a training, too
CODE = (
    "answers.py",
    "gradients.py",
    "intervals.py",
    "machine/devices.py",
    "machine/shortage.py",
    "maximisers",
    "measurement/accuracies.py",
    "modes.py",
    "nets",
    "objectives",
    "pipelines/training",
    "tangents.py",
    "training",
    "uncertainty",
    "validity.py",
    "verdicts.py",
)

# what dvc.yaml lists as the code of a verification
VERIFICATION_CODE = (
    "answers.py",
    "attacks",
    "gradients.py",
    "machine/devices.py",
    "measurement/accuracies.py",
    "modes.py",
    "nets",
    "pipelines/verification",
    "uncertainty",
    "validity.py",
    "verdicts.py",
    "verification",
)

# what dvc.yaml lists as the code of an adversarial set
ADVERSARIAL_SET_CODE = (
    "answers.py",
    "gradients.py",
    "machine/devices.py",
    "measurement/accuracies.py",
    "measurement/adversarial_examples.py",
    "modes.py",
    "nets",
    "pipelines/adversarial_set",
    "uncertainty",
    "validity.py",
    "verdicts.py",
)


def fingerprint(settings: Mapping[str, Any], code: Sequence[str] = CODE) -> str:
    """Return the SHA-256 of the settings, the code and PyTorch's version.

    Args:
        settings: whatever else decides the outcome, as JSON can say it.
        code: files and folders of the package that decide it; the training's if left out.
    """
    # only here, for the other hashes do without
    import torch

    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(torch.__version__.encode())
    _add_sources(digest, code)
    return digest.hexdigest()


def code_sha256(code: Sequence[str]) -> str:
    """Return the SHA-256 of files and folders of the package, names included.

    Args:
        code: as of :func:`fingerprint`.
    """
    digest = hashlib.sha256()
    _add_sources(digest, code)
    return digest.hexdigest()


def configuration_sha256(configuration: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a configuration, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(configuration, sort_keys=True).encode()).hexdigest()


def _add_sources(digest: hashlib._Hash, code: Sequence[str]) -> None:
    for path in sorted(_sources(code)):
        digest.update(f"{path.relative_to(PACKAGE)}\n".encode())
        digest.update(path.read_bytes())


def _sources(code: Sequence[str]) -> list[Path]:
    found = []
    for name in code:
        path = PACKAGE / name
        found += [path] if path.is_file() else list(path.rglob("*.py"))
    return found
