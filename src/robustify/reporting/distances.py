"""How far the nearest wrong answer is: Szegedy's smallest perturbations (Eq. 1) of several nets side by side."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from robustify.reporting.figures import STYLE, adversarial_grid, lines_of
from robustify.reporting.gallery import COLUMNS
from robustify.reporting.shares import percent
from robustify.storage import Tensors


def distances_table(found: Mapping[str, Tensors], *, environment: str) -> pd.DataFrame:
    """Return a row a net.

    Args:
        found: see :func:`robustify.pipelines.smallest_perturbations.nodes.perturb`, by net.
        environment: of the run, e.g. ``base``.

    Returns:
        ``net``, ``images``, ``test_accuracy`` on them and ``flipped``, the share of the others' labels that the attack
        flipped, in per cent; of the images that the net has right, ``median_norm`` (l2, pixel units of the [0, 1] scale;
        infinite where most don't flip), and over those that flip ``mean_norm`` and ``mean_distortion``, which is
        Szegedy et al.'s sqrt(Σ Δ² / pixels); and ``environment``.
    """
    rows = []
    for net, perturbations in found.items():
        norms = _norms_of_right(perturbations)
        flipped = norms[np.isfinite(norms)]
        pixels = perturbations.tensors["images"][0].numel()
        rows.append(
            {
                "net": net,
                "images": len(perturbations.tensors["labels"]),
                "test_accuracy": percent(len(norms) / len(perturbations.tensors["labels"])),
                "flipped": percent(len(flipped) / len(norms) if len(norms) else None),
                "median_norm": round(float(np.median(norms)), 4) if len(norms) else None,
                "mean_norm": round(float(flipped.mean()), 4) if len(flipped) else None,
                "mean_distortion": round(float(flipped.mean()) / pixels**0.5, 5)
                if len(flipped)
                else None,
                "environment": environment,
            }
        )
    return pd.DataFrame(rows)


def distances_figure(found: Mapping[str, Tensors], title: str) -> Figure:
    """Draw which share of the images keeps its right answer as the allowed l2 distance grows.

    Args:
        found: see :func:`robustify.pipelines.smallest_perturbations.nodes.perturb`, by net.
        title: of the experiment.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        reach, looks = 0.0, lines_of(found)
        for net, perturbations in found.items():
            norms = np.sort(_norms_of_right(perturbations))
            images = len(perturbations.tensors["labels"])
            finite = norms[np.isfinite(norms)]
            kept = 100 * (len(norms) - np.arange(len(finite) + 1)) / images
            axes.step([0.0, *finite], kept, where="post", **looks[net])
            reach = max(reach, *finite, 0.0)
        axes.set(
            xlabel="l2 norm of the smallest perturbation found, on the [0, 1] scale",
            ylabel="images whose answer stays right (%)",
            title=f"{title}: Szegedy's attack (Eq. 1)",
            ylim=(0, 101),
            xlim=(0, 1.02 * reach if reach else 1.0),
        )
        axes.legend(frameon=False)
    return figure


def perturbed_images(
    test_data: Tensors, perturbations: Tensors, classes: list[str], title: str
) -> Figure | None:
    """Draw the first images that the net has right, their smallest perturbations and the difference, magnified.

    None if there is no such image.

    Args:
        test_data: ``images`` and ``labels``.
        perturbations: see :func:`robustify.pipelines.smallest_perturbations.nodes.perturb`.
        classes: names, by label.
        title: over the figure.
    """
    tensors = perturbations.tensors
    shown = (tensors["found"] & _right(perturbations)).nonzero()[:COLUMNS, 0]
    if len(shown) == 0:
        return None
    return adversarial_grid(
        test_data.tensors["images"][shown].float().div(255).numpy(),
        tensors["images"][shown].numpy(),
        [classes[int(label)] for label in tensors["prediction_before"][shown]],
        [classes[int(label)] for label in tensors["prediction_after"][shown]],
        [f"{float(norm):.2f}" for norm in tensors["norm"][shown]],
        f"{title}, smallest perturbations and their l2 norm",
    )


def _right(perturbations: Tensors) -> Tensor:
    return perturbations.tensors["prediction_before"] == perturbations.tensors["labels"]


def _norms_of_right(perturbations: Tensors) -> npt.NDArray[np.float64]:
    """Return the norms of the images that the net has right, infinite where no flip was found."""
    tensors, right = perturbations.tensors, _right(perturbations)
    norms = tensors["norm"].where(tensors["found"], float("inf"))
    return np.asarray(norms[right].double().numpy())
