"""One rule a claim: what each net must show, and what that makes of the claim.

Every rule reads the stored summary and details (see :mod:`robustify.across_seeds`) and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles
from typing import Any, Literal

from robustify.across_seeds import BEST
from robustify.configuration import BASELINE, CONTROL
from robustify.levels import size_label
from robustify.significance import interval_over_seeds

Verdict = Literal[
    "held",
    "held where decided",
    "in part",
    "not held where decided",
    "not held",
    "undecided",
    "not measured",
]

SIGNIFICANCE = 0.05
# "about twice": an epoch's cost in epochs of standard training
ABOUT_TWICE = (1.5, 2.5)
# upper over lower quartile of a net's epochs, beyond which it wasn't the net that took the time
UNEVEN = 1.5
# an accuracy counts as reached when it is as near to the final one: half a point is most of MNIST's error, a tenth
# a handful of CIFAR-10's images
NEAR = (0.005, 0.001)
# "about as many epochs": later by no more than this share of them all
ABOUT_AS_MANY = 0.1
# of the originals, below which a net is no classifier whose answers to examples say anything
FEW_RIGHT = 0.5


@dataclass(frozen=True)
class Finding:
    """What one part of a claim came to: a net, or one half of what is claimed.

    Attributes:
        subject: the net or the half.
        holds: whether the rule is met; None if what was measured leaves it undecided.
        measured: the numbers, in words.
    """

    subject: str
    holds: bool | None
    measured: str


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        name: C1 to C7.
        says: what the paper says.
        rule: when a part of it counts as held, for people.
        decide: makes the findings of one experiment from its summary and details.
    """

    name: str
    says: str
    rule: str
    decide: Callable[[Mapping[str, Any], Mapping[str, Any]], list[Finding]]


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Return held if all parts hold, not held if none does, in part otherwise; undecided parts have no say."""
    listed = list(findings)
    held = [finding.holds for finding in listed if finding.holds is not None]
    if not held:
        return "undecided" if listed else "not measured"
    if any(held) and not all(held):
        return "in part"
    if len(held) == len(listed):
        return "held" if all(held) else "not held"
    return "held where decided" if all(held) else "not held where decided"


def robust_nets(details: Mapping[str, Any]) -> list[str]:
    """Return the names of the nets that were trained on a ball."""
    return [net for net, about in details["nets"].items() if not about["trains_on_points"]]


def higher_test_accuracy(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C1: each robust net against the baseline on the same test images, and against all standard nets over seeds."""
    standard = list(_standard_nets(summary, details).values())
    found = []
    for net in robust_nets(details):
        tested = summary["tests"]["test_set"][net]
        images = tested["interval"]
        robust = summary["nets"][net]["test_accuracy"]["values"]
        seeds = interval_over_seeds(robust, standard)
        found.append(
            Finding(
                net,
                _surely_above(images, seeds),
                f"{_points(tested['difference']['mean'])} against the baseline (95 % interval over images {_points_range(images)}; "
                f"McNemar's p by seed: {_p_values(tested['by_seed'])}), {_points(fmean(robust) - fmean(standard))} against all standard nets "
                f"({len(robust)} against {len(standard)}, 95 % interval over seeds {_points_range(seeds) if seeds else 'unknown'})",
            )
        )
    return found


def _standard_nets(summary: Mapping[str, Any], details: Mapping[str, Any]) -> dict[int, float]:
    """Return the test accuracy of every standard net by the seed it was trained with; a seed's control may be another's baseline."""
    accuracies: dict[int, float] = {}
    for net in (CONTROL, BASELINE):
        # stored by earlier versions, details don't say it
        offset = details["nets"].get(net, {}).get("trained", {}).get("seed_offset")
        if offset is None and net != BASELINE:
            continue
        values = summary["nets"][net]["test_accuracy"]["values"]
        accuracies |= {
            seed + (offset or 0): value
            for seed, value in zip(summary["seeds"], values, strict=True)
        }
    return accuracies


def _surely_above(images: Sequence[float], seeds: Sequence[float] | None) -> bool | None:
    if seeds is None:
        return None
    if images[0] > 0 and seeds[0] > 0:
        return True
    return False if images[1] < 0 and seeds[1] < 0 else None


def recovers_the_set(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C2: each robust net against the control on the set of its own seed."""
    found = []
    for net in robust_nets(details):
        tested = summary["tests"]["adversarial_set"].get(net)
        if tested is None:
            continue
        ours = summary["nets"][net]["adversarial_set_accuracy"]["mean"]
        control = summary["nets"][CONTROL]["adversarial_set_accuracy"]["mean"]
        by_image = tested["by_image"]
        better = _better_in_every_seed(tested["by_seed"]) and all(
            test["only_first"] > test["only_second"] and test["p_value"] < SIGNIFICANCE
            for test in by_image
        )
        unlike = not better and _starts_elsewhere(details["nets"], net)
        images = ", ".join(f"{test['images']:,}" for test in by_image)
        found.append(
            Finding(
                net,
                None if unlike else better,
                f"{_percent(ours)}, the control {_percent(control)} (p by seed: {_p_values(tested['by_seed'])}; "
                f"with the {images} images counted once: {_p_values(by_image)})"
                + (
                    "; it began with the baseline's seed and the control didn't, and examples fool nets of the same start more often, so that "
                    "less than the control needn't come of its training"
                    if unlike
                    else ""
                ),
            )
        )
    return found


def _starts_elsewhere(nets: Mapping[str, Any], net: str) -> bool:
    """Return whether a net is known to have had the baseline's seed, and the control another."""
    # stored by earlier versions, details don't say it
    own, baseline, control = (
        nets[name].get("trained", {}).get("seed_offset") for name in (net, BASELINE, CONTROL)
    )
    return None not in (own, control) and own == baseline != control


def harder_to_attack(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C3: each robust net under l∞ steps on its own weights, against baseline and control."""
    nets = details["nets"]
    plain = [nets[net] for net in (BASELINE, CONTROL) if net in nets]
    found = []
    for net in robust_nets(details):
        sweep, others = _under_steps(nets[net]), [_under_steps(other) for other in plain]
        leads, settled = _leads(sweep, others), _ahead_in_every_seed(sweep, others)
        widest = max(leads, key=lambda epsilon: leads[epsilon])
        found.append(
            Finding(
                net,
                _ahead(leads) == len(leads) and settled > len(leads) / 2,
                f"ahead of both at {_ahead(leads)} of {len(leads)} ε{_settled(settled, sweep)}, by most at {size_label(float(widest))}: "
                f"{_percent(sweep[widest]['mean'])} against {_percent(sweep[widest]['mean'] - leads[widest])}"
                f"{_under_other_steps(nets[net], plain)}{_under_more_steps(nets[net], plain)}",
            )
        )
    return found


def _under_steps(net: Mapping[str, Any]) -> dict[str, Any]:
    """Return a net's sweep without ε = 0, which is no step."""
    return {size: found for size, found in net["fgsm"].items() if float(size) > 0}


def _leads(
    sweep: Mapping[str, Mapping[str, float]],
    others: Sequence[Mapping[str, Mapping[str, float]]],
) -> dict[str, float]:
    """Return by how much a net's mean accuracy is above the best of the others', at every size of step."""
    return {
        size: accuracy["mean"] - max(other[size]["mean"] for other in others)
        for size, accuracy in sweep.items()
    }


def _ahead(leads: Mapping[str, float]) -> int:
    return sum(lead > 0 for lead in leads.values())


def _ahead_in_every_seed(
    sweep: Mapping[str, Mapping[str, Any]], others: Sequence[Mapping[str, Mapping[str, Any]]]
) -> int:
    """Return at how many sizes of step a net is ahead of all others in each single seed."""
    return sum(
        all(
            ours > theirs
            for other in others
            for ours, theirs in zip(accuracy["values"], other[size]["values"], strict=True)
        )
        for size, accuracy in sweep.items()
    )


def _settled(count: int, sweep: Mapping[str, Mapping[str, Any]]) -> str:
    seeds = len(next(iter(sweep.values()))["values"])
    return f" (in each of the {seeds} seeds at {count})" if seeds > 1 else ""


def _under_other_steps(net: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]) -> str:
    """Return at how many radii of the norms that the rule doesn't ask for a net is ahead."""
    found = {
        norm: _leads(sweep, [other["steps"][norm] for other in plain])
        for norm, sweep in net["steps"].items()
    }
    return "".join(
        f"; under {norm} steps at {_ahead(leads)} of {len(leads)} radii"
        for norm, leads in found.items()
    )


def about_twice_an_epoch(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C4: seconds an epoch against standard training, and epochs until a net is near its final accuracy."""
    nets = details["nets"]
    # others on points may have a penalty, or more images
    plain = {net: nets[net] for net in (BASELINE, CONTROL) if net in nets}
    standard = _mean(map(_seconds, plain.values()))
    found = []
    for net in robust_nets(details):
        ratio, doubt = _seconds(nets[net]) / standard, _uneven({net: nets[net], **plain})
        low, high = ABOUT_TWICE
        found += [
            Finding(
                f"{net}: cost",
                None if doubt else low <= ratio <= high,
                f"{ratio:.2f} standard epochs ({_seconds(nets[net]):.1f} s against {standard:.1f} s){doubt}",
            ),
            _about_as_many_epochs(net, nets[net], list(plain.values())),
        ]
    return found


def _about_as_many_epochs(
    name: str, net: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]
) -> Finding:
    """Return whether a net is near its final accuracy about when the slower standard net is, however near is meant."""
    there = len(plain[0]["curves"]["test_accuracy"][0])
    later = ABOUT_AS_MANY * there
    needed = {near: _epochs_needed(net, near) for near in NEAR}
    slowest = {near: max(_epochs_needed(other, near) for other in plain) for near in NEAR}
    # where standard nets need nearly all epochs, no robust net can need many more
    telling = [near for near in NEAR if slowest[near] + later < there]
    told = [
        f"within {100 * near:.1f} points of its final accuracy after {needed[near]:.1f} epochs, standard nets after {slowest[near]:.1f}"
        + ("" if near in telling else f" (of {there}, so that it says nothing)")
        for near in NEAR
    ]
    holds = all(needed[near] <= slowest[near] + later for near in telling) if telling else None
    return Finding(f"{name}: epochs", holds, "; ".join(told))


def one_pixel_flips(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C5: test images whose label one pixel flips, against the baseline."""
    counts = details["single_pixel"]
    if not counts:
        return []
    first = counts[0]
    flipped = ", ".join(f"{count['flipped']:,}" for count in counts)
    return [
        Finding(
            BASELINE,
            all(count["flipped"] > 0 for count in counts),
            f"by seed {flipped} of {first['images']:,} test images with the {first['candidates']} most promising "
            f"pixels tried; of the first {first['exhaustive_images']:,}, every pixel tried at either extreme: "
            f"{', '.join(str(count['flipped_of_exhaustive']) for count in counts)} "
            f"(the promising ones: {', '.join(str(count['flipped_of_exhaustive_by_candidates']) for count in counts)})",
        )
    ]


def examples_transfer(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C6: every net on every other's examples, against their originals; other architectures apart."""
    architectures = details["transfer"]["architectures"]
    found = []
    for norm, matrix in details["transfer"]["matrix"].items():
        for alike in (True, False):
            tried = {
                row: {
                    net: cell
                    for net, cell in columns.items()
                    if cell["examples"] and (architectures[net] == architectures[row]) == alike
                }
                for row, columns in matrix.items()
            }
            to = f"nets of {'the same' if alike else 'another'} architecture"
            told = {
                row: [cell for net, cell in cells.items() if not _few_right(matrix, row, net)]
                for row, cells in tried.items()
            }
            for fooling in (True, False):
                chosen = {
                    row: cells
                    for row, cells in told.items()
                    if cells and all(map(_fooled, cells)) == fooling
                }
                if chosen:
                    found.append(_transferred(norm, chosen, to, holds=fooling))
            untold = {
                row: [cell for net, cell in cells.items() if _few_right(matrix, row, net)]
                for row, cells in tried.items()
            }
            if any(untold.values()):
                found.append(
                    _transferred(
                        norm, {row: cells for row, cells in untold.items() if cells}, to, holds=None
                    )
                )
    return found


def _few_right(
    matrix: Mapping[str, Mapping[str, Mapping[str, Any]]], row: str, column: str
) -> bool:
    """Return whether one of two nets has hardly any of the other's originals right."""
    # None where a net has no examples
    shares = (cell["original_accuracy"] for cell in (matrix[row][column], matrix[column][row]))
    return any(share is not None and share < FEW_RIGHT for share in shares)


def _transferred(
    norm: str, rows: Mapping[str, Sequence[Mapping[str, Any]]], to: str, *, holds: bool | None
) -> Finding:
    cells = [cell for row in rows.values() for cell in row]
    sizes = sorted({row[0]["examples"] for row in rows.values()})
    examples = " to ".join(f"{size:,}" for size in dict.fromkeys((sizes[0], sizes[-1])))
    fooled = sum(map(_fooled, cells))
    return Finding(
        f"{norm} examples of {', '.join(rows)}: {to}",
        holds,
        f"{examples} examples a net, tried {len(cells)} times; {fooled} times they fool more often than "
        f"their originals do; accuracy on them {_range(cell['accuracy'] for cell in cells)}, on their originals "
        f"{_range(cell['original_accuracy'] for cell in cells)}"
        + (
            f"; one of the two has less than {100 * FEW_RIGHT:.0f} % of the other's originals right, which is no good classifier"
            if holds is None
            else ""
        ),
    )


def _fooled(cell: Mapping[str, Any]) -> bool:
    return bool(cell["fooled"] > cell["mended"] and cell["p_value"] < SIGNIFICANCE)


def _range(shares: Iterable[float]) -> str:
    ordered = sorted(shares)
    return " to ".join(map(_percent, dict.fromkeys((ordered[0], ordered[-1]))))


def linf_is_best(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C7: the l∞ net against the other robust nets, on the stored set and under l∞ steps."""
    tests = details["best_on_adversarial_set"]
    others = [net for net in robust_nets(details) if net != BEST]
    if not others or not tests:
        return []
    nets, stored = details["nets"], summary["nets"]
    differences = "; ".join(
        f"{_points(stored[BEST]['adversarial_set_accuracy']['mean'] - stored[net]['adversarial_set_accuracy']['mean'])} "
        f"on {net} (p by seed: {_p_values(tests[net])})"
        for net in others
    )
    sweep = _under_steps(nets[BEST])
    sweeps = [_under_steps(nets[net]) for net in others]
    ahead, settled = _ahead(_leads(sweep, sweeps)), _ahead_in_every_seed(sweep, sweeps)
    return [
        Finding(
            "stored set", all(_better_in_every_seed(tests[net]) for net in others), differences
        ),
        Finding(
            "new attacks",
            ahead == len(sweep) and settled > len(sweep) / 2,
            f"ahead of the other robust nets at {ahead} of {len(sweep)} ε{_settled(settled, sweep)}",
        ),
    ]


CLAIMS = (
    Claim(
        "C1",
        "Robust training improves accuracy on clean test images.",
        "A net counts if it is above the baseline with the whole 95 % interval over test images (bootstrap, these seeds' nets as they are), and above all "
        "standard nets with the whole 95 % interval over seeds (Welch's), since nets that differ in nothing but their seed differ, too. It doesn't if both lie "
        "below 0; all else is undecided. Neither interval is corrected for testing several nets, and each leaves out what the other covers: the one over images takes these nets as given, the one over seeds these images.",
        higher_test_accuracy,
    ),
    Claim(
        "C2",
        "Robust training recovers much of the stored adversarial set.",
        f"A net counts if in every seed it has more of the set right than the control, McNemar's p < {SIGNIFICANCE}, "
        "by example and by image, since an image may have one in every norm. What the control has right comes free with another seed; "
        "how much more is much, the paper doesn't say. Less than the control is undecided where a net shares the baseline's seed and the control doesn't.",
        recovers_the_set,
    ),
    Claim(
        "C3",
        "New adversarial examples are harder to make, for every norm trained on, even with l∞ attacks.",
        "A net counts if its mean accuracy under one l∞ step on its own weights is above both the baseline's and "
        "the control's at every ε of the sweep, and in each seed at more than half of them. Steps stay in the pixel box, which Eq. 2 by itself doesn't ask "
        "for; without it, more of a step would be left.",
        harder_to_attack,
    ),
    Claim(
        "C4",
        "Robust training takes about twice as long an epoch, and no more epochs (Fig. 5: about as many).",
        f"Cost counts if an epoch takes {ABOUT_TWICE[0]} to {ABOUT_TWICE[1]} times that of the standard nets; epochs count if "
        f"the net is within {' and within '.join(f'{100 * near:.1f}' for near in NEAR)} points of its final test accuracy no later than the slower standard net by "
        f"more than {100 * ABOUT_AS_MANY:.0f} % of all epochs. Where that one needs nearly all of them, or epochs took very unlike times, it is undecided and has no say. "
        "Under `conf/base` the learning rate falls to 0, which has a say in when nets are near the end. Seconds are the median epoch's of the "
        "stored runs, whatever else the machine had to do.",
        about_twice_an_epoch,
    ),
    Claim(
        "C5",
        "Changing one pixel can flip a label.",
        "It counts if in every seed at least one test image that the baseline has right is flipped.",
        one_pixel_flips,
    ),
    Claim(
        "C6",
        "Adversarial examples transfer between nets (the paper cites this and doesn't measure it).",
        "The examples of a net count if every other net gets more of them wrong than of their originals, "
        f"McNemar's p < {SIGNIFICANCE}; nets of other architectures count apart. Two nets of which one has less than {100 * FEW_RIGHT:.0f} % of the other's originals "
        "right decide nothing. All nets are of one seed.",
        examples_transfer,
    ),
    Claim(
        "C7",
        "The l∞ net is the best robust net, on the stored set and under new attacks.",
        f"The stored set counts if in every seed the l∞ net has more right than every other robust net, McNemar's p < {SIGNIFICANCE}; "
        "new attacks count if its mean accuracy under one l∞ step is the highest of the robust nets at every ε, and in each seed at more than half of them. "
        "Radii of different norms aren't matched, so a lead may be that of the larger ball.",
        linf_is_best,
    ),
)


def _under_more_steps(net: Mapping[str, Any], plain: Sequence[Mapping[str, Any]]) -> str:
    """Return what the brief verification's attacks leave a net and the better standard net, in the balls of both."""
    left: dict[tuple[str, float], float] = {}
    for other in plain:
        for row in other["attacked"]:
            ball = row["norm"], row["epsilon"]
            left[ball] = max(left.get(ball, 0.0), row["accuracy"]["mean"])
    return "".join(
        f"; under more steps ({row['norm']} {size_label(row['epsilon'])}, {row['images']:,} images) "
        f"{_percent(row['accuracy']['mean'])} against {_percent(left[row['norm'], row['epsilon']])}"
        for row in net["attacked"]
        if (row["norm"], row["epsilon"]) in left
    )


def _better_in_every_seed(tests: Iterable[Mapping[str, Any]]) -> bool:
    return all(test["difference"] > 0 and test["p_value"] < SIGNIFICANCE for test in tests)


def _seconds(net: Mapping[str, Any]) -> float:
    # the median: other work on the machine stretches single epochs severalfold
    return float(median(seconds for curve in net["curves"]["seconds"] for seconds in curve))


def _uneven(nets: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a doubt where epochs of one net took very unlike times."""
    for name, net in nets.items():
        seconds = [second for curve in net["curves"]["seconds"] for second in curve]
        low, _, high = (
            quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
        )
        if high > UNEVEN * low:
            return f"; not to be relied on: a quarter of {name}'s epochs took less than {low:.1f} s, a quarter more than {high:.1f} s, as other work on the machine would have it"
    return ""


def _epochs_needed(net: Mapping[str, Any], near: float) -> float:
    """Return the epochs, averaged over seeds, until test accuracy is as near to the last epoch's as given."""
    return _mean(
        1 + next(i for i, accuracy in enumerate(curve) if accuracy >= curve[-1] - near)
        for curve in net["curves"]["test_accuracy"]
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _p_values(tests: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"{test['p_value']:.2g}" for test in tests)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _points(share: float) -> str:
    return f"{100 * share:+.2f}".replace("-", "−")


def _points_range(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{_points(low)} to {_points(high)}"
