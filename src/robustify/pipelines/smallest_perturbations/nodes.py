"""Nodes of the pipeline of smallest perturbations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robustify.storage import Tensors, TrainedNet


def perturb(
    model: TrainedNet, test_data: Tensors, smallest_perturbations: dict[str, Any], device: str
) -> Tensors:
    """Return the smallest perturbations of the first test images by Eq. 1, untargeted.

    Args:
        model: the net.
        test_data: ``images`` and ``labels``.
        smallest_perturbations: see :class:`robustify.configuration.SmallestPerturbations`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from robustify.configuration import SmallestPerturbations
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.accuracies import predict
    from robustify.measurement.smallest_perturbations import smallest_perturbations as attack
    from robustify.storage import Tensors

    keep_freed_memory()
    net = model.net.to(choose_device(device))
    options = SmallestPerturbations(**smallest_perturbations).model_dump()
    made_by = dict(options)
    count = options.pop("images")
    images, labels = test_data.tensors["images"][:count], test_data.tensors["labels"][:count]
    result = attack(net, images, labels, **options)
    return Tensors(
        {
            "images": result.images,
            "labels": labels.clone(),
            "found": result.found,
            "c": result.c,
            "norm": result.norm,
            "prediction_before": predict(net, images),
            "prediction_after": predict(net, result.images),
        },
        {
            "options": made_by,
            "net_sha256": model.provenance["tensors_sha256"],
            "attacked_data_sha256": test_data.provenance["tensors_sha256"],
        },
    )


def compare_distances(
    test_data: Tensors,
    classes: list[str],
    title: str,
    environment: str,
    *found: Tensors,
    nets: tuple[str, ...],
) -> tuple[pd.DataFrame, dict[str, Figure]]:
    """Return all nets' smallest perturbations side by side: table and figures by file name.

    Args:
        test_data: ``images`` and ``labels``.
        classes: names, by label.
        title: of the experiment.
        environment: of the run, e.g. ``base``.
        found: see :func:`perturb`, a net each.
        nets: names of the nets, in order.
    """
    from robustify.reporting.distances import distances_figure, distances_table, perturbed_images

    by_net = dict(zip(nets, found, strict=True))
    figures = {"smallest_perturbations.png": distances_figure(by_net, title)}
    for net, perturbations in by_net.items():
        shown = perturbed_images(test_data, perturbations, classes, f"{title}: {net}")
        if shown is not None:
            figures[f"{net}.png"] = shown
    return distances_table(by_net, environment=environment), figures
