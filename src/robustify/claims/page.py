"""The page of results as Markdown, from stored results alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from robustify.claims import sections
from robustify.claims.markdown import table
from robustify.claims.rules import CLAIMS, Claim, Finding, robust_nets, verdict_of
from robustify.claims.stored import AUTHORS, Beginning, Stored
from robustify.configuration import BASELINE, CONTROL
from robustify.levels import size_label
from robustify.reporting.titles import COMPLETE
from robustify.verified_results import key_of

WANTED_SEEDS = 3
# epochs over which a curve is averaged, to see what of its end is chance
LATE = 20


def render(
    stored: Sequence[Stored],
    verified: Sequence[Mapping[str, Any]] = (),
    beginnings: Sequence[Beginning] = (),
) -> str:
    """Return the page.

    Args:
        stored: the experiments, in the order of the page.
        verified: see :func:`robustify.verified_results.gather`, an entry a net and ball.
        beginnings: of settings that weren't run in full.
    """
    others = [one for one in stored if one.environment != COMPLETE]
    stored = [one for one in stored if one.environment == COMPLETE]
    decided = {
        claim.name: {one.name: claim.decide(one.summary, one.details) for one in stored}
        for claim in CLAIMS
    }
    parts = [
        _HEAD,
        _runs(stored),
        "## The claims",
        "Each claim is decided by the rule in its section. Held means that all of its parts count, not held that none does, in part all else; undecided parts have no say.",
        _verdicts(stored, decided),
        *_under_other_settings(others),
        *(_claim(claim, stored, decided[claim.name], others) for claim in CLAIMS),
        *(sections.accuracies(one) for one in stored),
        *(sections.transfer(one) for one in stored),
        *(sections.objectives(one) for one in stored if one.objectives is not None),
        *(sections.readings(one) for one in stored if one.readings is not None),
        *(sections.distances(one) for one in stored if one.distances is not None),
        *(
            [sections.verified(verified, {one.name: one.title for one in stored})]
            if verified
            else []
        ),
        *(_other_settings(one, decided) for one in others),
        *(sections.beginning(one) for one in beginnings),
        *(sections.figures(one) for one in stored if one.figures),
        "## What hasn't been run",
        _missing(stored, verified, others),
    ]
    return "\n\n".join(parts) + "\n"


_HEAD = """# Results

This page is made by `python -m robustify.claims` from the files in [results/](results) and nothing else; no verdict is typed.
Over seeds those files are made by `kedro run --pipeline=NAME_seeds` from the nets of every seed, and each seed's nets by
`kedro run --pipeline=NAME_robust --params=NAME.seed=N`; where others count, their section names the command. C1 to C7 are the claims of Shaham, Yamada and Negahban (2015).
Accuracies are in per cent, mean ± standard deviation over seeds where there are several. Radii and ε are changes of pixels on the [0, 1] scale.
The control, which the paper lacks, is the baseline trained with another seed; under `conf/base` robust nets share the control's seed. The control of seed N is
the baseline of seed N + 1 once more, so three seeds have four different standard nets.
We wrote the rules, some of them after seeing results. Three choices made verdicts kinder: a tenth more epochs is allowed (C4), poor classifiers have no say (C6), and
a net below the control has none where it shares the baseline's start and the control doesn't (C2). C1's rule was changed both ways: stricter, a gain must hold over seeds, too;
kinder, a net whose interval holds 0 is undecided, which had counted as no (MNIST's C1 would be in part). So is the l∞ net's lead on the stored set where it may be chance (C7)."""


def _runs(stored: Sequence[Stored]) -> str:
    rows = []
    for one in stored:
        seeds = one.summary["seeds"]
        count = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}: {', '.join(map(str, seeds))}"
        sizes = ", ".join(f"{size:,}" for size in one.summary["adversarial_set"]["size"])
        theirs = one.details["paper"].get("adversarial_set_size")
        rows.append(
            [
                one.title,
                count,
                sizes,
                f"{theirs:,}" if theirs else "–",
                f"`kedro run {one.command}`",
            ]
        )
    return table(
        ["", "run with", "adversarial set, by seed", "the paper's", "gathered by"],
        rows,
    )


def _verdicts(stored: Sequence[Stored], decided: Mapping[str, Mapping[str, list[Finding]]]) -> str:
    rows = [
        [
            claim.name,
            claim.says,
            *(verdict_of(decided[claim.name][one.name]) for one in stored),
            f"**{verdict_of(_all(decided[claim.name]))}**",
        ]
        for claim in CLAIMS
    ]
    return table(["", "the paper says", *(one.title for one in stored), "together"], rows)


def _under_other_settings(others: Sequence[Stored]) -> Iterator[str]:
    """Yield the verdicts under settings that aren't the default ones, a row each."""
    if not others:
        return
    yield "By the same rules under other settings, which have no part in the verdicts above (each has a section below):"
    yield table(
        ["", "seeds", *(claim.name for claim in CLAIMS)],
        [
            [
                one.title,
                ", ".join(map(str, one.summary["seeds"])),
                *(verdict_of(claim.decide(one.summary, one.details)) for claim in CLAIMS),
            ]
            for one in others
        ],
    )
    yield from _by_the_last_epoch(others)


_COUNTS = {True: "yes", False: "no", None: "undecided"}


def _claim(
    claim: Claim,
    stored: Sequence[Stored],
    found: Mapping[str, list[Finding]],
    others: Sequence[Stored],
) -> str:
    rows = [
        [one.title, finding.subject, finding.measured, _COUNTS[finding.holds]]
        for one in stored
        for finding in found[one.name]
    ]
    return "\n\n".join(
        [
            f"### {claim.name}: {verdict_of(_all(found))}",
            f"{claim.says}\n*Rule:* {claim.rule}",
            table(["", "part", "measured", "counts"], rows) if rows else "Not measured.",
            *(_best_found(claim, stored, found, others) if claim.name == "C1" else ()),
            "Command: "
            + ", ".join(
                f"`kedro run --pipeline={one.name}_seeds`" for one in stored if found[one.name]
            ),
        ]
    )


def _best_found(
    claim: Claim,
    stored: Sequence[Stored],
    found: Mapping[str, list[Finding]],
    others: Sequence[Stored],
) -> Iterator[str]:
    """Yield what other objectives and radii come to on the test set, and why no net might be better."""
    for one in stored:
        if one.objectives is not None:
            yield f"{one.title}, other objectives and radii (below): {_most_accurate(one.objectives)}"
        fewer = [
            other
            for other in others
            if other.name == one.name and 0 < _images(other) < _images(one)
        ]
        there = [claim.decide(other.summary, other.details) for other in fewer]
        yield from map(_from_fewer_images, fewer, there)
        held = {finding.holds for finding in found[one.name]}
        if False in held and True not in held:
            yield (
                f"Why not on {one.title}: {_why_none(one, [*zip(fewer, there, strict=True)])} "
                "What else was measured and tried is in [findings.md](findings.md)."
            )


def _images(one: Stored) -> int:
    """Return how many images nets were trained on; 0 if that isn't stored."""
    return int(one.details["nets"][BASELINE].get("trained", {}).get("images", 0))


def _from_fewer_images(one: Stored, found: Sequence[Finding]) -> str:
    """Return what robust training gains where there is more to overfit."""
    epochs = one.details["nets"][BASELINE]["trained"]["training"]["epochs"]
    measured = "; ".join(f"{finding.subject} {finding.measured}" for finding in found)
    return f"{one.title}, {_images(one):,} training images gone through {epochs} times (below): {measured}."


def _why_none(one: Stored, from_fewer: Sequence[tuple[Stored, Sequence[Finding]]]) -> str:
    """Return what is known of why no net is more accurate than the baseline."""
    epochs = len(one.details["nets"][BASELINE]["curves"]["test_accuracy"][0])
    guess = f"{epochs} epochs overfit nothing that a regulariser could mend"
    if not from_fewer:
        return f"that isn't known. A guess that wasn't put to a test: {guess}."
    for other, found in from_fewer:
        gaining = [finding.subject for finding in found if finding.holds]
        if gaining:
            unlike = _trained_otherwise(one, other)
            how, besides = (
                (f" ({unlike})", ", or that these settings matter") if unlike else ("", "")
            )
            return (
                f"where there is more to overfit, {' and '.join(gaining)} training gains{how}; so it may be that "
                f"{guess}{besides}."
            )
    if any(finding.holds is None for _, found in from_fewer for finding in found):
        return "that isn't known. Where there is more to overfit, no gain is larger than what seeds differ by."
    return f"that isn't known. It isn't only that {guess}: where there is more to overfit, no net gains either."


def _trained_otherwise(one: Stored, other: Stored) -> str:
    """Return in words which radii and which label smoothing the other's nets were trained with, where they aren't this one's."""
    ours, theirs = one.details["nets"], other.details["nets"]
    radii = [
        f"{net} {size_label(theirs[net]['uncertainty_set']['radius'])}"
        for net in theirs
        if net in ours
        and theirs[net]["uncertainty_set"].get("radius")
        != ours[net]["uncertainty_set"].get("radius")
    ]
    smoothing, usual = (
        nets[BASELINE].get("trained", {}).get("objective", {}).get("label_smoothing", 0.0)
        for nets in (theirs, ours)
    )
    unlike = [f"radii of {', '.join(radii)}"] if radii else []
    if smoothing != usual:
        unlike.append(f"label smoothing of {smoothing:g} instead of {usual:g}")
    return " and ".join(unlike)


def _most_accurate(table: pd.DataFrame) -> str:
    """Return which net that isn't plain is best on the test set, and how it stands to the plain ones."""
    accuracies = table.set_index("net")["test_accuracy"]
    plain = accuracies[[net for net in (BASELINE, CONTROL) if net in accuracies.index]]
    others = accuracies.drop(plain.index)
    said = " and ".join(f"the {net}'s {accuracy:.2f}" for net, accuracy in plain.items())
    return (
        f"of the {len(others)} nets that aren't standard the most accurate is {others.idxmax()} with {others.max():.2f} %, against {said} "
        f"({int((others > plain.max()).sum())} of {len(others)} are above both). That is one seed, and the best of several looks better than it is."
    )


def _other_settings(one: Stored, decided: Mapping[str, Mapping[str, list[Finding]]]) -> str:
    """What the claims and tables are under other settings than those of conf/base."""
    rows = [
        [claim.name, finding.subject, finding.measured, _COUNTS[finding.holds]]
        for claim in CLAIMS
        for finding in claim.decide(one.summary, one.details)
    ]
    return "\n\n".join(
        [
            f"## {one.title}",
            "The same claims by the same rules, under other settings. The verdicts together don't count these nets. Trained by "
            + ", ".join(
                f"`kedro run --env={one.environment} --pipeline={one.name}_robust --params={one.name}.seed={seed}`"
                for seed in one.summary["seeds"]
            )
            + f". What the settings are stands in `conf/{one.environment}`; where nets differ in more than the uncertainty set, such as by a batch "
            "normalisation of the input, C1 can't tell that from robust training.",
            *_beside_complete(one, decided),
            *_late_means(one),
            _runs([one]),
            table(["", "part", "measured", "counts"], rows),
            sections.accuracies(one, level=3),
            *(sections.shown(one, name) for name in sections.CAPTIONS if one.figure(name)),
            "Where steps leave the pixel box, figures draw what lies outside at its border.",
        ]
    )


def _beside_complete(
    one: Stored, decided: Mapping[str, Mapping[str, list[Finding]]]
) -> Iterator[str]:
    """Yield which verdicts are those of the same experiment under conf/base, and which aren't."""
    if not all(one.name in found for found in decided.values()):
        return
    here = {claim.name: verdict_of(claim.decide(one.summary, one.details)) for claim in CLAIMS}
    there = {name: verdict_of(found[one.name]) for name, found in decided.items()}
    same = [name for name in here if here[name] == there[name]]
    others = [f"{name} {here[name]}, there {there[name]}" for name in here if name not in same]
    yield (
        f"Verdicts as under `conf/{COMPLETE}`: {', '.join(same) or 'none'}; others: {'; '.join(others) or 'none'}."
    )


def _by_the_last_epoch(others: Sequence[Stored]) -> Iterator[str]:
    """Yield which settings' C1 the accuracy of the last epoch decides, where many epochs are alike."""
    long = [one.title for one in others if any(_late_means(one))]
    if long:
        yield f"C1 of {' and '.join(long)} looks at the nets of the last epoch; leads over the last {LATE} epochs are in that section."


def _late_means(one: Stored) -> Iterator[str]:
    """Yield each robust net's lead on the test set over the last epochs, where a training has many."""
    curves = {
        net: [curve[-LATE:] for curve in about["curves"]["test_accuracy"]]
        for net, about in one.details["nets"].items()
    }
    if (
        min(
            len(curve)
            for each in one.details["nets"].values()
            for curve in each["curves"]["test_accuracy"]
        )
        < 2 * LATE
    ):
        return
    late = {net: fmean(fmean(curve) for curve in each) for net, each in curves.items()}
    last = {net: fmean(curve[-1] for curve in each) for net, each in curves.items()}
    leads = ", ".join(
        f"{net} {100 * (late[net] - late[BASELINE]):+.2f} ({100 * (last[net] - last[BASELINE]):+.2f})"
        for net in robust_nets(one.details)
    ).replace("-", "−")
    yield (
        f"Test accuracy against the baseline's, averaged over the last {LATE} epochs, in points (in brackets after the last one alone, which is what C1 "
        f"counts): {leads}."
    )


def _missing(
    stored: Sequence[Stored], verified: Sequence[Mapping[str, Any]], others: Sequence[Stored]
) -> str:
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
    lines += [f"{name}: nothing stored" for name in sections.PAPER_TABLES if name not in known]
    return "\n".join(f"* {line}" for line in [*lines, _OF_THE_PAPER])


_AUTHORS_NOT_RUN = f": the authors' settings, `conf/{AUTHORS}`, in full: `kedro run --env={AUTHORS} --pipeline={{name}}_robust`"


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
    transfer, seeds = one.details["transfer"], one.summary["seeds"]
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
        "transfer between nets": True,
        "strong attacks in full": len(_not_attacked(one, verified)) < len(one.summary["nets"]),
        f"the settings of `conf/{AUTHORS}`": any(
            len(other.summary["seeds"]) == 1 for other in under_authors
        ),
    }
    return f", on more than one seed: {', '.join(name for name, there in once.items() if there)}"


_OF_THE_PAPER = (
    "Of what the paper names: Eq. 10 by projected gradient with `conf/base`'s recipe (`NAME.nets.NET.maximiser.name=projected_gradient`), and by L-BFGS, which isn't built; "
    "Eq. 13 by steps that leave the pixel box; the contractive penalty layer by layer (`jacobian` is the whole net's); transfer between nets that were trained on different images"
)


def _has_autoattack(verified: Sequence[Mapping[str, Any]], experiment: str, net: str) -> bool:
    return any(
        entry["autoattack_accuracy"] is not None
        for entry in verified
        if key_of(entry) == (experiment, "", net)
    )


def _all(found: Mapping[str, list[Finding]]) -> list[Finding]:
    return [finding for findings in found.values() for finding in findings]
