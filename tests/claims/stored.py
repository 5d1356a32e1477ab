"""Parts of stored results, and what tests do with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from robustify.claims.rules import CLAIMS, Finding
from robustify.significance import over_seeds

NETS = {"baseline": "point", "control": "point", "l2": "l2", "linf": "linf"}


def paired(difference: float, p_value: float, low: float = 0.0, high: float = 0.1) -> dict:
    each = {"difference": difference, "p_value": p_value}
    return {
        "difference": over_seeds([difference]),
        "by_seed": [each],
        "by_image": [{"images": 150, "only_first": 40, "only_second": 10, "p_value": p_value}],
        "interval": [low, high],
    }


def cell(examples: int, fooled: int, p_value: float) -> dict[str, Any]:
    return {
        "examples": examples,
        "accuracy": 1 - fooled / examples,
        "original_accuracy": 1.0,
        "fooled": fooled,
        "mended": 0,
        "p_value": p_value,
    }


def decide(name: str, summary: dict[str, Any], details: dict[str, Any]) -> list[Finding]:
    return next(claim for claim in CLAIMS if claim.name == name).decide(summary, details)


def put(tree: Any, path: str, value: Any) -> None:
    *folders, last = path.split("/")
    for key in folders:
        tree = tree[int(key) if isinstance(tree, list) else key]
    tree[int(last) if isinstance(tree, list) else last] = value


def verified_entry(**changed: Any) -> str:
    """What ``verification.json`` holds of one net in one ball."""
    entry = {
        "experiment": "mnist", "net": "l2", "norm": "l2", "epsilon": 1.0, "images": 100, "clean_accuracy": 0.9, "fgsm_accuracy": None,
        "pgd_accuracy": None, "autoattack_accuracy": 0.5, "seconds": 60.0, "command": None,
    }  # fmt: skip
    return json.dumps([{**entry, **changed}])


def lose(summary: dict[str, Any], net: str) -> None:
    """Make the net a point worse than the standard ones, over images and over seeds."""
    summary["tests"]["test_set"][net] = paired(-0.01, 0.01, -0.02, -0.001)
    summary["nets"][net]["test_accuracy"] = over_seeds([0.959, 0.960, 0.961])


def store(data: Path, name: str, summary: Any, details: Any) -> None:
    folder = data / "08_reporting" / name / "across_seeds"
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "details.json").write_text(json.dumps(details))
    (folder / "figures" / "learning_curves.png").write_bytes(b"png")
