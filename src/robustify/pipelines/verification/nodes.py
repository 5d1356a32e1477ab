"""Nodes of the verification pipeline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from robustify.storage import Tensors, TrainedNet


def verify_net(
    model: TrainedNet,
    test_data: Tensors,
    verification: dict[str, Any],
    seed: int,
    device: str,
    source: TrainedNet | None = None,
    *,
    title: str,
    depth: str,
) -> dict[str, Any]:
    """Return what survives of one net's accuracy and what the sanity gates say.

    Args:
        model: the net.
        test_data: ``images`` and ``labels``.
        verification: see :class:`robustify.configuration.Verification`.
        seed: of the experiment.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: another net of the experiment, whose adversarial examples are tried.
        title: experiment and net, e.g. ``mnist.l2``.
        depth: ``brief`` or ``full``.

    Raises:
        InputError: if a sanity gate failed and ``on_failure`` is ``raise``.
    """
    from pathlib import Path

    from robustify.configuration import Verification
    from robustify.fingerprint import VERIFICATION_CODE, code_sha256
    from robustify.machine.allocator import keep_freed_memory
    from robustify.machine.devices import choose_device
    from robustify.recipes import recorded
    from robustify.verification import make_plan, verify

    keep_freed_memory()
    started = time.perf_counter()
    options, where = Verification(**verification), choose_device(device)
    chosen = getattr(options, depth)
    trained = recorded(model.provenance, model.architecture)
    uncertainty_set = model.provenance["uncertainty_set"]
    plan = make_plan(
        options,
        chosen,
        net=title.partition(".")[2],
        uncertainty_set=uncertainty_set,
    )
    found = verify(
        model.net.to(where),
        test_data.tensors["images"],
        test_data.tensors["labels"],
        plan,
        source=source.net.to(where) if source else None,
        seed=seed,
        title=title,
        folder=Path("data/07_model_output/checkpoints") / title,
    )
    return {
        **found,
        "depth": depth,
        "attacks": {name: attack.model_dump() for name, attack in chosen.attacks.items()},
        "uncertainty_set": uncertainty_set,
        "trained": trained,
        "weights_sha256": model.provenance["tensors_sha256"],
        "code_sha256": code_sha256(VERIFICATION_CODE),
        "seconds": round(time.perf_counter() - started, 2),
    }


def gather_verifications(
    settings: dict[str, Any], *verifications: dict[str, Any], nets: tuple[str, ...]
) -> tuple[pd.DataFrame, str, dict[str, Figure]]:
    """Return the full verification of an experiment: table, page and figures by file name.

    Args:
        settings: the experiment's parameters.
        verifications: made by :func:`verify_net`, one a net.
        nets: names of the nets, in order.
    """
    from robustify.reporting import figures
    from robustify.reporting.report import render_verification
    from robustify.reporting.results import verification_table
    from robustify.reporting.titles import experiment_title

    by_net = dict(zip(nets, verifications, strict=True))
    table = verification_table(by_net)
    drawn = {
        f"accuracy_versus_epsilon_{norm}.png": figures.accuracy_under_attacks(
            rows, f"{experiment_title(settings)}: accuracy under attack, by ε in {norm}"
        )
        for norm, rows in table.groupby("norm", sort=False)
        if rows["epsilon"].nunique() > 1
    }
    return table, render_verification(by_net, drawn, settings), drawn
