"""What the library answers on a device: every objective, attack and measurement, on nets and images so small that it takes seconds.

    python -m tests.second_device.answers ANSWERS [LIBRARY]

writes the answers to a safetensors file; with the compiled device's library they come from there, else from the CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

# radii at which some images stand and some fall
RADII = {"l1": 20.0, "l2": 2.0, "linf": 0.15}


def pictures(count: int, channels: int, side: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, side, side)
    images = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    # flat parts, as real images have
    images[:, :, : side // 2] = 0
    return images, torch.arange(count) % 10


def answers(device: torch.device) -> Iterator[tuple[str, Tensor]]:
    """Yield every answer, by name, on the CPU."""
    trained = None
    for name, net in trainings(device):
        trained = net if name == "worst_case.linf" else trained
        yield from ((f"{name}.{key}", value) for key, value in net.state_dict().items())
    assert trained is not None
    images, labels = pictures(20, 1, 28)
    labels = predictions(trained, images)
    yield "predictions", labels
    yield from measurements(trained, images, labels)
    yield from attacks(trained, images, labels)


def predictions(net: nn.Module, images: Tensor) -> Tensor:
    from robustify.measurement import predict

    return predict(net, images)


def trainings(device: torch.device) -> Iterator[tuple[str, nn.Module]]:
    """Yield nets trained under every objective, by every kind of option of a recipe."""
    plain: dict[str, Any] = {"epochs": 1, "batch_size": 10}
    rich = {"held_out": 10, "averaging": 0.5, "radius_warmup": 0.5, "translation": 2}
    for norm, radius in RADII.items():
        yield f"worst_case.{norm}", trained(device, norm, radius, plain)
    pgd = {"steps": 2, "random_start": True, "restarts": 2}
    yield "pgd", trained(device, "l2", 0.5, {**plain, **rich, "watch": {"steps": 4}}, maximiser=pgd)
    for objective in ("mixed", "vat", "interval_bound"):
        yield objective, trained(device, "linf", 0.05, plain, objective=objective)
    for objective in ("jacobian", "operator_norm", "manifold_tangent"):
        yield objective, trained(device, "point", None, plain, objective=objective)
    yield "tangent", trained(device, "tangent", 0.5, plain)
    muon = {"name": "muon", "learning_rate": 1.0, "filter_learning_rate": 0.1}
    airbench = {"name": "airbench", "widths": [4, 6, 8]}
    options = {**plain, "epochs": 2, "flips": True, "translation": 1, "optimiser": muon}
    yield "airbench", trained(device, "l2", 0.5, options, net=airbench)


def trained(
    device: torch.device,
    norm: str,
    radius: float | None,
    recipe: dict[str, Any],
    *,
    objective: str = "worst_case",
    maximiser: dict[str, Any] | None = None,
    net: dict[str, Any] | None = None,
) -> nn.Module:
    from robustify.maximisers import make_maximiser
    from robustify.measurement import accuracy
    from robustify.nets import make_net
    from robustify.objectives import make_objective
    from robustify.tangents import TangentPlanes, nearest_neighbours
    from robustify.training import Recipe, train
    from robustify.uncertainty import make_uncertainty_set

    architecture = net or {"name": "mnist_convnet", "widths": [4, 6, 12]}
    images, labels = pictures(40, *((3, 32) if net else (1, 28)))
    planes = {"bases": TangentPlanes(images, nearest_neighbours(images, labels, 3), dimension=2)}
    ball = {} if radius is None else {"radius": radius}
    sgd = {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9}
    made = make_net(**architecture)
    train(
        made,
        images,
        labels,
        objective=make_objective(
            objective,
            uncertainty_set=make_uncertainty_set(
                norm, **ball, **(planes if norm == "tangent" else {})
            ),
            maximiser=make_maximiser(
                "projected_gradient" if maximiser else "steepest_ascent", **(maximiser or {})
            ),
            **(planes if objective == "manifold_tangent" else {}),
        ),
        # in bfloat16, which some CPUs compute in, answers would differ from that device's in more than their last bits
        recipe=Recipe.of({"optimiser": sgd, "precision": "float32", **recipe}),
        seed=0,
        evaluate=lambda net: accuracy(net, images, labels),
        device=device,
    )
    assert next(made.parameters()).device == device
    return made


def measurements(net: nn.Module, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield accuracies, sets, flips, transfer, certificates, gates."""
    from robustify.measurement import accuracy_under_steps, attack, epsilon_sweep, survives_rounding
    from robustify.measurement.certification import certified_accuracy
    from robustify.measurement.single_pixel import flipped_by_any_pixel, flipped_by_promising_pixels
    from robustify.measurement.smallest_perturbations import smallest_perturbations
    from robustify.measurement.transfer import transfer_matrix
    from robustify.tangents import TangentPlanes, clipping_loss, nearest_neighbours
    from robustify.uncertainty import LinfBall, make_uncertainty_set
    from robustify.verification import examine

    balls = {norm: make_uncertainty_set(norm, radius=radius) for norm, radius in RADII.items()}
    yield "sweep", numbers(epsilon_sweep(net, images, labels, [0.0, 0.02, 0.1]))
    steps = accuracy_under_steps(net, images, labels, {norm: [0.1, 1.0] for norm in RADII})
    yield from ((f"steps.{norm}", numbers(shares)) for norm, shares in steps.items())
    examples = attack(net, images, labels, balls)
    yield from ((f"set.{key}", getattr(examples, key)) for key in ("images", "source", "norm"))
    yield "set.survives", survives_rounding(net, examples)
    yield "pixel.promising", flipped_by_promising_pixels(net, images, labels, candidates=3)
    yield "pixel.any", flipped_by_any_pixel(net, images[:3], labels[:3])
    matrix = transfer_matrix({"a": net, "b": net}, images, labels, "linf", balls["linf"])
    yield "transfer", numbers({name: matrix["a"]["b"][name] for name in ("examples", "fooled")})
    found = smallest_perturbations(net, images[:4], labels[:4], candidates=2, iterations=5)
    yield "szegedy", found.images
    certified = certified_accuracy(net, images, labels, LinfBall(radius=0.001))
    yield "certified", torch.tensor(certified)
    planes = TangentPlanes(images, nearest_neighbours(images, labels * 0, 3), dimension=2)
    yield "clipping", numbers(clipping_loss(net, images, labels, planes, radius=0.5))
    verdicts = examine(net, images, labels, *balls.values(), source=net, steps=2, seed=0)
    yield "gates", torch.tensor([verdict.passed for verdict in verdicts])


def attacks(net: nn.Module, images: Tensor, labels: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield which images every attack leaves standing, in every norm, and what it made of the others."""
    from robustify.attacks import ATTACKS, AutoAttack, make_attack, robust_accuracy
    from robustify.attacks.square import Square
    from robustify.uncertainty import make_uncertainty_set

    short: dict[str, dict[str, Any]] = {
        "pgd": {"steps": 3, "restarts": 2, "relative_step": 0.5},
        "apgd_t": {"steps": 5, "target_classes": 2},
        "fab_t": {"steps": 3, "target_classes": 2},
        "square": {"queries": 10},
    }
    for name in ATTACKS:
        attack = (
            AutoAttack([make_attack("pgd", **short["pgd"]), Square(queries=5)])
            if name == AutoAttack.name
            else make_attack(name, **short.get(name, {"steps": 5}))
        )
        for norm, radius in RADII.items():
            ball = make_uncertainty_set(norm, radius=radius)
            found = robust_accuracy(net, images, labels, attack, ball, seed=0, show_progress=False)
            yield f"{name}.{norm}.standing", found.state.still_standing
            yield f"{name}.{norm}.adversarial", found.state.adversarial


def numbers(values: dict[Any, float]) -> Tensor:
    return torch.tensor([float(value) for value in values.values()], dtype=torch.float64)


if __name__ == "__main__":
    device = torch.device("cpu")
    if len(sys.argv) > 2:
        from tests.second_device.backend import load

        device = load(Path(sys.argv[2]))
    save_file(
        {name: value.detach().cpu().contiguous() for name, value in answers(device)}, sys.argv[1]
    )
