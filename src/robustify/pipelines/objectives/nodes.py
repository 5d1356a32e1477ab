"""Nodes of the objectives pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robustify.storage import Tensors, TrainedNet


def attack_net(
    model: TrainedNet,
    test_data: Tensors,
    pgd: dict[str, Any],
    verification: dict[str, Any],
    seed: int,
    device: str,
    source: TrainedNet | None = None,
    *,
    title: str,
) -> dict[str, Any]:
    """Return the net's accuracy under projected gradient descent and the share of certified images, by epsilon.

    What is certified is left out for nets that :mod:`robustify.intervals` has no rules for. ``failed_gates`` says
    whether the attack is to be believed: the sanity gates look at the net in the smallest of the balls. A net whose
    outputs can't be attacked has no accuracies.

    Args:
        model: the net.
        test_data: ``images`` and ``labels``.
        pgd: see :class:`robustify.configuration.ProjectedGradientAttack`.
        verification: see :class:`robustify.configuration.Verification`; the gates look as in its ``brief``.
        seed: of the experiment; fixes the random starts.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: another net, whose examples the gates try on this one.
        title: experiment and net, e.g. ``mnist.l2``.

    Raises:
        InputError: if a sanity gate failed and ``on_failure`` is ``raise``.
    """
    from robustify.attacks import Pgd, robust_accuracy
    from robustify.configuration import GateOptions, ProjectedGradientAttack, Verification
    from robustify.intervals import has_bounds
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.measurement.certification import certified_accuracy
    from robustify.uncertainty import LinfBall
    from robustify.verification.attackable import measured_if_attackable
    from robustify.verification.examination import examine
    from robustify.verification.gates import failures

    keep_freed_memory()
    options, strictness = ProjectedGradientAttack(**pgd), Verification(**verification)
    gates = strictness.brief.gates if strictness.brief else GateOptions()
    attack = Pgd(
        steps=options.steps, restarts=options.restarts, relative_step=options.relative_step
    )
    net = model.net.to(choose_device(device))
    images = test_data.tensors["images"][: options.images]
    labels = test_data.tensors["labels"][: options.images]
    balls = {f"{epsilon:.6g}": LinfBall(radius=epsilon) for epsilon in options.epsilons}
    chosen = (net, images, labels)
    verdicts, under_attack = measured_if_attackable(
        lambda: examine(
            net,
            images[: gates.images],
            labels[: gates.images],
            LinfBall(radius=min(options.epsilons)),
            source=source.net if source else None,
            steps=gates.steps,
            largest_share_of_zero_gradients=strictness.largest_share_of_zero_gradients,
            seed=seed,
        ),
        lambda: {
            epsilon: robust_accuracy(*chosen, attack, ball, seed=seed).robust_accuracy
            for epsilon, ball in balls.items()
        },
        title=title,
        on_failure=strictness.on_failure,
    )
    provable = balls if under_attack is not None and has_bounds(net) else {}
    return {
        "images": len(images),
        "pgd_accuracy": under_attack or {},
        "certified_accuracy": {
            epsilon: certified_accuracy(*chosen, ball) for epsilon, ball in provable.items()
        },
        "failed_gates": failures(verdicts),
    }


def measure_clipping(
    model: TrainedNet,
    training_data: Tensors,
    neighbours: Tensors,
    tangent_planes: dict[str, Any],
    device: str,
) -> dict[str, float]:
    """Return what clipping to the pixel box takes off the plane, see :func:`robustify.tangents.clipping_loss`.

    Args:
        model: a net trained on a tangent set.
        training_data: ``images`` and ``labels``.
        neighbours: of the training images.
        tangent_planes: see :class:`robustify.configuration.TangentPlanes`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from robustify.machine.devices import choose_device
    from robustify.tangents import TangentPlanes, clipping_loss

    images, labels = training_data.tensors["images"], training_data.tensors["labels"]
    planes = TangentPlanes(
        images, neighbours.tensors["neighbours"], dimension=tangent_planes["dimension"]
    )
    return clipping_loss(
        model.net.to(choose_device(device)),
        images,
        labels,
        planes,
        radius=model.provenance["uncertainty_set"]["radius"],
    )


def compare_objectives(
    title: str,
    environment: str,
    *measured: Any,
    nets: tuple[str, ...],
    clipped: tuple[str, ...],
) -> tuple[pd.DataFrame, dict[str, Figure]]:
    """Return the table of all nets side by side, and its figure.

    Args:
        title: of the experiment.
        environment: of the run, e.g. ``base``.
        measured: every net as trained, then every net's evaluation, learning curve and accuracies
            under attack, then what clipping took off the plane of each net in ``clipped``.
        nets: names of the nets, in order.
        clipped: names of the nets on a tangent set whose steps are clipped.
    """
    from robustify.reporting.comparison import objectives_figure, objectives_table

    count = len(nets)
    models, evaluations, curves, attacks = (
        dict(zip(nets, measured[i * count : (i + 1) * count], strict=True)) for i in range(4)
    )
    table = objectives_table(
        settings={net: model.provenance for net, model in models.items()},
        evaluations=evaluations,
        curves=curves,
        attacks=attacks,
        clipping=dict(zip(clipped, measured[4 * count :], strict=True)),
        environment=environment,
    )
    drawn = objectives_figure(table, f"{title}: one net under each objective")
    return table, {"objectives.png": drawn}
