"""Nodes of the seeds pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robustify.storage import Tensors, TrainedNet


def measure_net(
    model: TrainedNet,
    test_data: Tensors,
    adversarial_set: Tensors,
    steps: dict[str, Any],
    device: str,
) -> tuple[Tensors, dict[str, Any]]:
    """Return a net's classes of all test images and stored examples, and its accuracy under one step.

    Args:
        model: the net.
        test_data: ``images`` and ``labels``.
        adversarial_set: of the net's own seed.
        steps: see :class:`robustify.configuration.Steps`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from robustify.configuration import Steps
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.accuracies import accuracy_under_steps, predict
    from robustify.recipes import recorded
    from robustify.storage import Tensors

    keep_freed_memory()
    net = model.net.to(choose_device(device))
    images, labels = test_data.tensors["images"], test_data.tensors["labels"]
    predictions = Tensors(
        {
            "test_set": predict(net, images),
            "adversarial_set": predict(net, adversarial_set.tensors["images"]),
        },
        {
            "net_sha256": model.provenance["tensors_sha256"],
            "trained": recorded(model.provenance, model.architecture),
            "test_data_sha256": test_data.provenance["tensors_sha256"],
            "adversarial_set_sha256": adversarial_set.provenance["tensors_sha256"],
        },
    )
    asked = Steps(**steps)
    count = asked.images
    radii = {str(norm): chosen for norm, chosen in asked.radii.items()}
    accuracies = accuracy_under_steps(net, images[:count], labels[:count], radii)
    return predictions, {
        "net_sha256": model.provenance["tensors_sha256"],
        "images": len(images[:count]),
        "accuracy": {
            norm: {f"{radius:.6g}": share for radius, share in by_radius.items()}
            for norm, by_radius in accuracies.items()
        },
    }


def count_single_pixel_flips(
    model: TrainedNet, test_data: Tensors, single_pixel: dict[str, Any], device: str
) -> dict[str, Any]:
    """Return how many test images one pixel can flip, see :mod:`robustify.measurement.single_pixel`.

    Args:
        model: the baseline.
        test_data: ``images`` and ``labels``.
        single_pixel: see :class:`robustify.configuration.SinglePixel`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from robustify.configuration import SinglePixel
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.single_pixel import flipped_by_any_pixel, flipped_by_promising_pixels

    keep_freed_memory()
    options = SinglePixel(**single_pixel)
    net = model.net.to(choose_device(device))
    images, labels = test_data.tensors["images"], test_data.tensors["labels"]
    promising = flipped_by_promising_pixels(net, images, labels, candidates=options.candidates)
    first = slice(options.exhaustive_images)
    return {
        "net_sha256": model.provenance["tensors_sha256"],
        "images": len(images),
        "candidates": options.candidates,
        "flipped": int(promising.sum()),
        "exhaustive_images": len(images[first]),
        "flipped_of_exhaustive": int(flipped_by_any_pixel(net, images[first], labels[first]).sum()),
        "flipped_of_exhaustive_by_candidates": int(promising[first].sum()),
    }


def measure_transfer(
    test_data: Tensors,
    transfer: dict[str, Any],
    device: str,
    *models: TrainedNet,
    seed: int,
    nets: tuple[str, ...],
) -> dict[str, Any]:
    """Return how every net takes the examples made on every other, see :mod:`robustify.measurement.transfer`.

    Args:
        test_data: ``images`` and ``labels``.
        transfer: see :class:`robustify.configuration.Transfer`.
        device: ``auto``, ``cpu`` or ``cuda``.
        models: the nets.
        seed: of the experiment's nets.
        nets: their names, in order.

    Raises:
        InputError: if a net of ``also`` has the name of another, or takes no such images.
        FileNotFoundError: if a file of ``also`` isn't there.
    """
    from pathlib import Path

    from robustify.configuration import Transfer
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.accuracies import accuracy
    from robustify.measurement.transfer import transfer_matrix
    from robustify.storage import load_trained_net
    from robustify.uncertainty import make_uncertainty_set

    keep_freed_memory()
    options = Transfer(**transfer)
    others = {name: load_trained_net(Path(path)) for name, path in options.also.items()}
    tried = {**dict(zip(nets, models, strict=True)), **others}
    images = test_data.tensors["images"][: options.images]
    labels = test_data.tensors["labels"][: options.images]
    where = choose_device(device)
    modules = {name: trained.net.to(where) for name, trained in tried.items()}
    return {
        "seed": seed,
        "net_sha256": {
            name: trained.provenance["tensors_sha256"] for name, trained in tried.items()
        },
        "images": len(images),
        "architectures": {name: trained.architecture["name"] for name, trained in tried.items()},
        "accuracy": {name: accuracy(net, images, labels) for name, net in modules.items()},
        "sets": options.sets,
        "matrix": {
            norm: transfer_matrix(modules, images, labels, norm, make_uncertainty_set(norm, **ball))
            for norm, ball in options.sets.items()
        },
    }


def gather_across_seeds(
    test_data: Tensors,
    settings: dict[str, Any],
    *measured: Any,
    keys: tuple[tuple[int, str, str], ...],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return means over seeds with paired tests, and what else the claims are decided by.

    Args:
        test_data: ``images`` and ``labels``.
        settings: the experiment's parameters.
        measured: data sets of the seeds.
        keys: seed, net (empty of what belongs to no net) and kind of each of them, in order.

    Raises:
        InputError: if a net's measurements aren't of the data that is stored now.
    """
    from robustify.across_seeds import gather

    return gather(
        labels=test_data.tensors["labels"].numpy(),
        test_data_sha256=test_data.provenance["tensors_sha256"],
        settings=settings,
        measured=dict(zip(keys, measured, strict=True)),
    )


def draw_across_seeds(
    details: dict[str, Any],
    adversarial_set: Tensors,
    test_data: Tensors,
    settings: dict[str, Any],
) -> dict[str, Figure]:
    """Return the figures over all seeds, and those of the first seed's set, by file name.

    Args:
        details: see :func:`robustify.across_seeds.gather`.
        adversarial_set: of the first seed.
        test_data: ``images`` and ``labels``.
        settings: the experiment's parameters.
    """
    from robustify.reporting import figures, seed_figures
    from robustify.reporting.gallery import sample_pairs, single_pixel_pairs
    from robustify.reporting.titles import experiment_title

    title, classes = experiment_title(settings), settings["classes"]
    drawn = {
        "accuracy_versus_epsilon.png": seed_figures.accuracy_versus_epsilon(details),
        "learning_curves.png": seed_figures.learning_curves(details),
        "adversarial_set.png": figures.adversarial_grid(
            **sample_pairs(adversarial_set, test_data, classes),
            title=f"{title}: a sample of the adversarial set",
        ),
    }
    if details["single_pixel"] and "l1" in adversarial_set.provenance["norms"]:
        counted = details["single_pixel"][0]
        drawn["single_pixel_flips.png"] = figures.single_pixel_flips(
            **single_pixel_pairs(adversarial_set, test_data, classes),
            title=f"{title}: one pixel flips the answer; "
            f"it can do so on at least {counted['flipped']:,} of {counted['images']:,} test images",
        )
    return drawn
