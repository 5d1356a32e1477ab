"""Nodes of the readings pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from robustify.storage import Tensors, TrainedNet


def measure_sizes(
    attacked_net: TrainedNet, test_data: Tensors, adversarial_set: dict[str, Any], device: str
) -> dict[str, dict[str, int]]:
    """Return how many examples each reading of each ball makes against the baseline, by norm and reading.

    Args:
        attacked_net: the baseline.
        test_data: ``images`` and ``labels``.
        adversarial_set: see :class:`robustify.configuration.AdversarialSet`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from robustify.configuration import AdversarialSet
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.adversarial_examples import attack
    from robustify.uncertainty import STEPS, make_uncertainty_set

    keep_freed_memory()
    net = attacked_net.net.to(choose_device(device))
    images, labels = test_data.tensors["images"], test_data.tensors["labels"]
    sets = AdversarialSet(**adversarial_set).sets
    by_step = {
        step: attack(
            net,
            images,
            labels,
            {
                norm: make_uncertainty_set(norm, **{**ball, "step": step})
                for norm, ball in sets.items()
            },
        ).by_norm()
        for step in STEPS
    }
    return {norm: {step: counts[norm] for step, counts in by_step.items()} for norm in sets}


def compare_readings(
    sizes: dict[str, dict[str, int]], environment: str, *measured: Any, nets: tuple[str, ...]
) -> pd.DataFrame:
    """Return the readings side by side, see :func:`robustify.reporting.readings.readings_table`.

    Args:
        sizes: see :func:`measure_sizes`.
        environment: of the run, e.g. ``base``.
        measured: every net's evaluation, then every net's learning curve, then every net's accuracies
            under attack.
        nets: names of the nets, in order.
    """
    from robustify.reporting.readings import readings_table

    count = len(nets)
    evaluations, curves, attacks = (
        dict(zip(nets, measured[i * count : (i + 1) * count], strict=True)) for i in range(3)
    )
    return readings_table(
        sizes, evaluations=evaluations, curves=curves, attacks=attacks, environment=environment
    )
