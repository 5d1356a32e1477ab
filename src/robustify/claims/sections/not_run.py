"""What hasn't been run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robustify.claims.paper import PAPER_TABLES
from robustify.claims.stored import AUTHORS, Stored
from robustify.configuration import BASELINE, CONTROL
from robustify.verified_results import key_of

WANTED_SEEDS = 3


_AUTHORS_NOT_RUN = f": the authors' settings, `conf/{AUTHORS}`, in full: `kedro run --env={AUTHORS} --pipeline={{name}}_robust`"


_OF_THE_PAPER = (
    "Of what the paper names: Eq. 10 by L-BFGS in training, which isn't built; "
    "the contractive penalty layer by layer (`jacobian` is the whole net's); transfer between nets that were trained on different images"
)


def section(
    stored: Sequence[Stored], verified: Sequence[Mapping[str, Any]], others: Sequence[Stored]
) -> str:
    """Return what was left out of each experiment, with its command, and of the paper."""
    lines = []
    for one in stored:
        under_authors = [
            other for other in others if (other.name, other.environment) == (one.name, AUTHORS)
        ]
        not_run = [
            *_attacks_not_run(one, verified),
            *_not_measured_of_seeds(one),
            *_tables_not_made(one),
            *([] if under_authors else [_AUTHORS_NOT_RUN.format(name=one.name)]),
        ]
        lines += [
            f"{one.title}{line}" for line in [*not_run, _of_one_seed(one, verified, under_authors)]
        ]
    known = {one.name for one in stored}
    lines += [f"{name}: nothing stored" for name in PAPER_TABLES if name not in known]
    return "\n".join(
        ["## What hasn't been run\n", *(f"* {line}" for line in [*lines, _OF_THE_PAPER])]
    )


def _not_attacked(one: Stored, verified: Sequence[Mapping[str, Any]]) -> list[str]:
    attacked = {key_of(entry) for entry in verified}
    return [net for net in one.summary["nets"] if (one.name, "", net) not in attacked]


def _attacks_not_run(one: Stored, verified: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    waiting = _not_attacked(one, verified)
    if waiting:
        yield (
            f": strong attacks in full on {', '.join(waiting)}: `kedro run --pipeline={one.name}_verification`, "
            "then `python -m robustify.verified_results`"
        )
    without = [
        net
        for net in (BASELINE, CONTROL)
        if net in one.summary["nets"]
        and net not in waiting
        and not _has_autoattack(verified, one.name, net)
    ]
    if without:
        yield (
            f": AutoAttack on {' and '.join(without)}, to compare with: name a ball for each under `{one.name}.verification.full.autoattack`"
        )


def _not_measured_of_seeds(one: Stored) -> Iterator[str]:
    """Yield what gathering over seeds could have measured and didn't."""
    transfer, seeds = one.details["transfers"][0], one.summary["seeds"]
    if absent := [norm for norm in ("l1", "l2", "linf") if norm not in transfer["matrix"]]:
        yield f": transfer of {' and '.join(absent)} examples: `{one.name}.across_seeds.transfer.sets`"
    if len(seeds) < WANTED_SEEDS:
        yield (
            f" with more seeds than {', '.join(map(str, seeds))}: `kedro run --pipeline={one.name}_robust "
            f"--params={one.name}.seed={max(seeds) + 1}`"
        )
    if len(set(transfer["architectures"].values())) == 1:
        yield f": transfer between architectures; name another net's file under `{one.name}.across_seeds.transfer.also`"
    if not one.details["single_pixel"]:
        yield (
            f": single-pixel flips; the paper has them on MNIST only, and they are counted where `{one.name}.across_seeds.single_pixel` says how"
        )


def _tables_not_made(one: Stored) -> Iterator[str]:
    if one.objectives is None:
        yield f": one net under each objective: `kedro run --pipeline={one.name}_objectives`"
    if one.readings is None:
        yield (
            f": the readings of Eq. 11 side by side; the pipeline is there where `{one.name}.readings` names the nets, as MNIST's does"
        )
    if one.distances is None:
        yield f": Szegedy's attack (Eq. 1): `kedro run --pipeline={one.name}_smallest_perturbations`"


def _of_one_seed(
    one: Stored, verified: Sequence[Mapping[str, Any]], under_authors: Sequence[Stored]
) -> str:
    once = {
        "one net under each objective": one.objectives is not None,
        "the readings of Eq. 11": one.readings is not None,
        "Szegedy's attack": one.distances is not None,
        "transfer between nets": len(one.details["transfers"]) == 1,
        "strong attacks in full": len(_not_attacked(one, verified)) < len(one.summary["nets"]),
        f"the settings of `conf/{AUTHORS}`": any(
            len(other.summary["seeds"]) == 1 for other in under_authors
        ),
    }
    return f", on more than one seed: {', '.join(name for name, there in once.items() if there)}"


def _has_autoattack(verified: Sequence[Mapping[str, Any]], experiment: str, net: str) -> bool:
    return any(
        entry["autoattack_accuracy"] is not None
        for entry in verified
        if key_of(entry) == (experiment, "", net)
    )
