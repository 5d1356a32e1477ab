"""One net before gates and attacks: what survives, and whether to believe it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from robustify.answers import logits_of, require_tensors
from robustify.attacks import ApgdCrossEntropy, Pgd, Square
from robustify.attacks.evaluation import CLEAN
from robustify.configuration import ALL_ATTACKS
from robustify.errors import InputError, shown
from robustify.levels import size_label
from robustify.limits import require_seed
from robustify.uncertainty import NormBall, require_radius_in_box
from robustify.verdicts import Verdict
from robustify.verification.attackable import measured_if_attackable
from robustify.verification.examination import examine
from robustify.verification.gates import (
    EDITION,
    failures,
    gradients_break_what_queries_do,
    judge,
    larger_epsilon_never_helps,
    longer_attacks_break_as_much,
    more_steps_never_help,
    points_are_in_the_set,
)
from robustify.verification.plan import Plan
from robustify.verification.survival import Survival, survive


def verify(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    plan: Plan,
    *,
    source: nn.Module | None = None,
    seed: int,
    title: str = "net",
    folder: Path | None = None,
) -> dict[str, Any]:
    """Return what survives of the net's accuracy and what the sanity gates say, as JSON can say it.

    Every attack of a ball sees all images that the net has right, so that its own accuracy is known;
    ``all_attacks`` counts the images that outlast each of them.

    Args:
        net: maps images in [0, 1] to logits; its modes and weight gradients stay as they are.
        images: uint8, shape (N, C, H, W), N ≥ 1.
        labels: true classes, int64, shape (N,).
        plan: balls, attacks, gates.
        source: another net of the same task, for the gate on transferred examples.
        seed: of all that is random.
        title: whom it is about, e.g. ``mnist.l2``.
        folder: where the state is stored, to go on after an interruption; nowhere if left out.

    Returns:
        ``images``, ``clean_accuracy``, ``measured`` (one entry a ball and attack: ``norm``, ``epsilon``,
        ``attack``, ``accuracy``, ``right``, ``rejected``, ``seconds``), ``gates`` and ``failed_gates``.
        A net whose outputs can't be attacked has no measurements.

    Raises:
        InputError: if images or labels can't be attacked, or the net has too few classes for an attack.
        GateError: if a gate failed and the plan says so.
    """
    require_tensors(images=images, labels=labels)
    require_seed(seed)
    if not isinstance(plan, Plan):
        raise InputError(f"plan is {shown(plan)}; it must be a Plan, as make_plan makes them")
    if len(images) == 0:
        raise InputError("there are no images to verify with; the set is empty")
    # the first of both are taken, whatever is left of either
    if labels.shape != (len(images),):
        raise InputError(
            f"labels are {labels.dtype} of shape {tuple(labels.shape)}; they must be {len(images)}, one an image"
        )
    for ball in (*plan.every_ball(), *plan.examined):
        require_radius_in_box(ball, images[0].numel())
    images, labels = images[: plan.images], labels[: plan.images]
    _require_classes(net, images[:1], plan)
    verdicts, measured = measured_if_attackable(
        lambda: _examine(net, images, labels, plan, source, seed),
        lambda: [
            row
            for ball in plan.every_ball()
            for row in _attack(net, images, labels, plan, ball, seed, title, folder)
        ],
        title=title,
        on_failure=plan.on_failure,
    )
    measured = measured or []
    verdicts += _consistent(measured, plan, len(images))
    judge(verdicts, title=title, on_failure=plan.on_failure)
    return {
        "images": len(images),
        "clean_accuracy": measured[0]["clean_accuracy"] if measured else None,
        "measured": measured,
        "gates": [asdict(verdict) for verdict in verdicts],
        "gates_edition": EDITION,
        "failed_gates": failures(verdicts),
    }


def _require_classes(net: nn.Module, image: Tensor, plan: Plan) -> None:
    """Refuse a net that has too few classes for an attack of the plan, before the others have run."""
    classes = logits_of(net, image).shape[1]
    for ball in plan.every_ball():
        for attack in plan.attacks_in(ball).values():
            for part in attack.parts(ball):
                part.require_classes(classes)


def _attack(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    plan: Plan,
    ball: NormBall,
    seed: int,
    title: str,
    folder: Path | None,
) -> Iterator[dict[str, Any]]:
    survivals = {
        name: survive(
            net,
            images,
            labels,
            attack,
            ball,
            batch_size=plan.batch_size,
            seed=seed,
            title=f"{title} {name} {ball.name} {size_label(ball.radius)}",
            folder=folder,
        )
        for name, attack in plan.attacks_in(ball).items()
    }
    yield from _rows(ball, survivals)


def _examine(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    plan: Plan,
    source: nn.Module | None,
    seed: int,
) -> list[Verdict]:
    return examine(
        net,
        images[: plan.examined_images],
        labels[: plan.examined_images],
        *(plan.examined or plan.every_ball()[:1]),
        source=source,
        steps=plan.examined_steps,
        largest_share_of_zero_gradients=plan.largest_share_of_zero_gradients,
        batch_size=plan.batch_size,
        seed=seed,
    )


def _rows(ball: NormBall, survivals: dict[str, Survival]) -> Iterator[dict[str, Any]]:
    every = None
    for name, survival in survivals.items():
        every = survival.survivors if every is None else every & survival.survivors
        yield {
            **_row(ball, name, survival, survival.survivors),
            "right": survival.right,
            "rejected": sum(survival.rejected.values()),
            "seconds": round(survival.seconds, 2),
        }
    if every is not None:
        yield _row(ball, ALL_ATTACKS, next(iter(survivals.values())), every)


def _row(ball: NormBall, attack: str, survival: Survival, survivors: Tensor) -> dict[str, Any]:
    images = len(survivors)
    return {
        "norm": ball.name,
        "epsilon": ball.radius,
        "attack": attack,
        "clean_accuracy": survival.right[CLEAN] / images,
        "accuracy": int(survivors.sum()) / images,
    }


def _consistent(rows: Sequence[dict[str, Any]], plan: Plan, images: int) -> Iterator[Verdict]:
    """Yield the verdicts on what was measured in full: points counted, epsilons and steps of PGD."""
    for row in rows:
        if "rejected" in row:
            where = f"{row['attack']} at {row['norm']} {size_label(row['epsilon'])}"
            yield points_are_in_the_set(row["rejected"], attack=where, images=images)
        broken = _broken_by_queries(row.get("right", {}))
        if broken is not None:
            yield gradients_break_what_queries_do(
                broken,
                where=f"{row['norm']} {size_label(row['epsilon'])}",
                images=images,
            )
    # a single step needn't obey
    steps = {
        name: attack.steps
        for name, attack in plan.attacks.items()
        if isinstance(attack, Pgd) and attack.steps > 1
    }
    table = {(row["attack"], row["norm"], row["epsilon"]): row["accuracy"] for row in rows}
    for norm, epsilon in dict.fromkeys((row["norm"], row["epsilon"]) for row in rows):
        for alike in _alike(plan, steps):
            by_steps: dict[int, float] = {}
            for name in alike:
                left = table.get((name, norm, epsilon))
                if left is not None:
                    by_steps[steps[name]] = min(left, by_steps.get(steps[name], left))
            if len(by_steps) > 1:
                yield more_steps_never_help(by_steps, images=images)
        yield from _adaptive_steps(plan, steps, table, (norm, epsilon), images)
    for name, norm in dict.fromkeys((row["attack"], row["norm"]) for row in rows):
        if name not in steps:
            continue
        by_epsilon = {key[2]: share for key, share in table.items() if key[:2] == (name, norm)}
        if len(by_epsilon) > 1:
            yield larger_epsilon_never_helps(by_epsilon, images=images)


def _adaptive_steps(
    plan: Plan,
    steps: Mapping[str, int],
    table: Mapping[tuple[str, str, float], float],
    ball: tuple[str, float],
    images: int,
) -> Iterator[Verdict]:
    """Yield whether APGD leaves no more in a ball than any PGD of fewer steps."""
    for longer, attack in plan.attacks.items():
        if not isinstance(attack, ApgdCrossEntropy):
            continue
        for shorter, taken in steps.items():
            both = (longer, *ball), (shorter, *ball)
            if taken < attack.steps and all(key in table for key in both):
                yield longer_attacks_break_as_much(
                    table[both[0]], table[both[1]], attacks=(longer, shorter), images=images
                )


def _broken_by_queries(right: Mapping[str, int]) -> int | None:
    """Return how many images the Square Attack broke that parts before it left; None if none came before."""
    names = list(right)
    before = names[names.index(Square.name) - 1] if Square.name in names else CLEAN
    return None if before == CLEAN else right[before] - right[Square.name]


def _alike(plan: Plan, names: Iterable[str]) -> list[list[str]]:
    """Return the PGD attacks in groups that differ in nothing but their steps and the length of one; of equally many steps the strongest counts."""
    groups: dict[tuple[int, bool], list[str]] = {}
    for name in names:
        attack = cast(Pgd, plan.attacks[name])
        groups.setdefault((attack.restarts, attack.random_start), []).append(name)
    return list(groups.values())
