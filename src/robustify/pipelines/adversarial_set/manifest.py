"""What an adversarial set was made by: code, configuration, libraries and seed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from robustify.fingerprint import ADVERSARIAL_SET_CODE, code_sha256, configuration_sha256

LIBRARIES = ("numpy", "safetensors", "torch")


def make_manifest(configuration: Mapping[str, Any], *, seed: int) -> dict[str, Any]:
    """Return what decides a set beside its net and data; the same on every run of the same code.

    The code is named by a hash of the sources that make the set, not by a commit: a commit that changes
    none of them mustn't change the set's bytes.

    Args:
        configuration: all parameters of the set, as JSON can say it.
        seed: of the attacked net; one ascent step draws nothing itself.
    """
    return {
        "code_sha256": code_sha256(ADVERSARIAL_SET_CODE),
        "configuration": dict(configuration),
        "configuration_sha256": configuration_sha256(configuration),
        "libraries": {name: version(name) for name in LIBRARIES},
        "seed": seed,
    }
