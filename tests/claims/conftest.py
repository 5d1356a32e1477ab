"""An experiment whose every claim holds: its summary and its details."""

from __future__ import annotations

from typing import Any

import pytest

from robustify.significance import over_seeds

from .stored import NETS, cell, paired


@pytest.fixture
def summary() -> dict[str, Any]:
    """All that C1 and C2 ask for."""
    return {
        "seeds": [0, 1, 2],
        "adversarial_set": {"size": [200]},
        "nets": {
            net: {
                "test_accuracy": over_seeds([clean - 0.001, clean, clean + 0.001]),
                "adversarial_set_accuracy": over_seeds([stored]),
            }
            for net, clean, stored in (
                ("baseline", 0.97, 0.0),
                ("control", 0.97, 0.6),
                ("l2", 0.98, 0.8),
                ("linf", 0.99, 0.9),
            )
        },
        "tests": {
            "test_set": {
                "control": paired(0.0, 1.0, -0.01),
                "l2": paired(0.01, 0.01, 0.002),
                "linf": paired(0.02, 0.001, 0.004),
            },
            "adversarial_set": {"l2": paired(0.2, 0.001), "linf": paired(0.3, 0.001)},
        },
    }


@pytest.fixture
def details() -> dict[str, Any]:
    """All that the other claims ask for."""
    under_steps = {"baseline": 0.3, "control": 0.4, "l2": 0.7, "linf": 0.8}
    return {
        "title": "MNIST",
        "environment": "base",
        "seeds": [0, 1, 2],
        "test_images": 1000,
        "nets": {
            net: {
                "uncertainty_set": {"name": name, **({} if name == "point" else {"radius": 0.5})},
                "trains_on_points": name == "point",
                "curves": {
                    "test_accuracy": [[0.9, 0.988, 0.99]],
                    "seconds": [[10.0] * 3 if name == "point" else [20.0] * 3],
                },
                "fgsm": {
                    "0.1": over_seeds([under_steps[net]]),
                    "0.2": over_seeds([under_steps[net] - 0.1]),
                },
                "clean": over_seeds([0.99]),
                "step_images": 1000,
                "step_clean": over_seeds([0.99]),
                "steps": {"l2": {"1": over_seeds([0.5])}},
                "attacked": [],
                "failed_gates": [],
            }
            for net, name in NETS.items()
        },
        "best_on_adversarial_set": {"l2": [{"difference": 0.1, "p_value": 0.001}]},
        "single_pixel": [
            {
                "images": 1000,
                "candidates": 16,
                "flipped": 12,
                "exhaustive_images": 100,
                "flipped_of_exhaustive": 3,
                "flipped_of_exhaustive_by_candidates": 2,
            }
        ],
        "transfers": [
            {
                "seed": 0,
                "images": 1000,
                "architectures": dict.fromkeys(NETS, "mnist_convnet"),
                "sets": {"l2": {"radius": 1.5}},
                "matrix": {
                    "l2": {
                        row: {column: cell(50, 20, 1e-5) for column in NETS if column != row}
                        for row in NETS
                    }
                },
            }
        ],
        "paper": {
            "adversarial_set_size": 1203,
            "nets": {"l2": {"test_accuracy": 0.9928, "adversarial_set_accuracy": 0.7655}},
        },
    }
