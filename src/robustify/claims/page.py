"""The page of results as Markdown, from stored results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pandas as pd

from robustify.claims.rules import CLAIMS, Claim, Finding, verdict_of
from robustify.configuration import BASELINE
from robustify.levels import size_label
from robustify.reporting.comparison import attacked_columns, heading
from robustify.reporting.report import spread_in_per_cent
from robustify.seeds import CONTROL
from robustify.uncertainty import STEPS

PAPER_TABLES = {"mnist": "Table 1", "cifar": "Table 2"}
COMPLETE = "base"
AUTHORS = "paper"
WANTED_SEEDS = 3
CAPTIONS = {
    "accuracy_versus_epsilon.png": "Accuracy under one step against each net's own weights: l∞ as in the paper (Figs. 3, 6), "
    "and l2 and l1, which it leaves out.",
    "learning_curves.png": "Test accuracy after each epoch, against epochs (Fig. 5) and against seconds.",
    "adversarial_set.png": "A sample of the adversarial set, the difference magnified (Figs. 2, 4).",
    "single_pixel_flips.png": "One circled pixel flips the baseline's answer (Fig. 1).",
}


@dataclass(frozen=True)
class Stored:
    """What is stored of one experiment.

    Attributes:
        name: of the experiment.
        summary: see :func:`robustify.seeds.summarise`.
        details: see :func:`robustify.across_seeds.gather`.
        objectives: see :func:`robustify.reporting.comparison.objectives_table`, if it was made.
        readings: see :func:`robustify.readings.readings_table`, if it was made.
        distances: see :func:`robustify.reporting.distances.distances_table`, if it was made.
        figures: file names, relative to the page.
    """

    name: str
    summary: Mapping[str, Any]
    details: Mapping[str, Any]
    objectives: pd.DataFrame | None = None
    readings: pd.DataFrame | None = None
    distances: pd.DataFrame | None = None
    figures: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Name of the experiment for people."""
        return str(self.details["title"])

    @property
    def environment(self) -> str:
        """The configuration that it was run with."""
        return str(self.details["environment"])

    @property
    def command(self) -> str:
        """What gathers the experiment's seeds, after ``kedro run``."""
        seeds = " ".join(map(str, self.summary["seeds"]))
        environment = "" if self.environment == COMPLETE else f"--env={self.environment} "
        return f"{environment}--pipeline={self.name}_seeds --params={self.name}.seeds='{seeds}'"

    def figure(self, name: str) -> str | None:
        """Return the path of the figure of this name, relative to the page, if there is one."""
        return next((path for path in self.figures if path.endswith(f"_{name}")), None)


@dataclass(frozen=True)
class Beginning:
    """The first epochs of an experiment under other settings than those of conf/base.

    Attributes:
        of: the experiment in full.
        environment: the settings' name.
        curves: see :func:`robustify.claims.beginnings.beginnings_of`.
    """

    of: Stored
    environment: str
    curves: pd.DataFrame


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
        _verdicts(stored, decided),
        *(_claim(claim, stored, decided[claim.name]) for claim in CLAIMS),
        *(_accuracies(one) for one in stored),
        *(_transfer(one) for one in stored),
        *(_objectives(one) for one in stored if one.objectives is not None),
        *(_readings(one) for one in stored if one.readings is not None),
        *(_distances(one) for one in stored if one.distances is not None),
        *([_verified(verified)] if verified else []),
        *(_other_settings(one) for one in others),
        *(_beginning(one) for one in beginnings),
        *(_figures(one) for one in stored if one.figures),
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
the baseline of seed N + 1 once more, so three seeds have four different standard nets."""


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
    return _table(
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
    return _table(["", "the paper says", *(one.title for one in stored), "together"], rows)


def _claim(claim: Claim, stored: Sequence[Stored], found: Mapping[str, list[Finding]]) -> str:
    rows = [
        [one.title, finding.subject, finding.measured, "yes" if finding.holds else "no"]
        for one in stored
        for finding in found[one.name]
    ]
    return "\n\n".join(
        [
            f"### {claim.name}: {verdict_of(_all(found))}",
            f"{claim.says}\n*Rule:* {claim.rule} Held means that all parts count, not held that none does.",
            _table(["", "part", "measured", "counts"], rows) if rows else "Not measured.",
            *(_best_found(stored, found) if claim.name == "C1" else ()),
            "Command: "
            + ", ".join(
                f"`kedro run --pipeline={one.name}_seeds`" for one in stored if found[one.name]
            ),
        ]
    )


def _best_found(stored: Sequence[Stored], found: Mapping[str, list[Finding]]) -> Iterator[str]:
    """Yield what other objectives and radii come to on the test set, and why no net might be better."""
    for one in stored:
        if one.objectives is not None:
            yield f"{one.title}, other objectives and radii (below): {_most_accurate(one.objectives)}"
        if not any(finding.holds for finding in found[one.name]):
            yield _why_none(one)


def _why_none(one: Stored) -> str:
    """Return what is known of why no net is more accurate than the baseline."""
    curves = one.details["nets"][BASELINE]["curves"]["test_accuracy"]
    gained = ", ".join(
        f"{100 * (curve[-1] - before):+.1f}" for curve in curves for before in curve[-2:-1]
    )
    said = (
        f", the last of which still brought the baseline {gained} points by seed" if gained else ""
    )
    return (
        f"Why not on {one.title}: that isn't known. Its nets train for {len(curves[0])} epochs{said}; a likely reason is that nothing is overfitted that a "
        "regulariser could mend, which wasn't put to a test."
    )


def _accuracies(one: Stored, *, level: int = 2) -> str:
    paper = one.details["paper"].get("nets", {})
    rows = []
    for net, measured in one.summary["nets"].items():
        theirs = paper.get(net)
        radius = one.details["nets"][net]["uncertainty_set"].get("radius")
        flagged = one.details["nets"][net].get("failed_gates")
        row = [f"{net} (flagged)" if flagged else net, size_label(radius) if radius else "–"]
        for key in ("test_accuracy", "adversarial_set_accuracy"):
            row += [
                spread_in_per_cent(measured[key]),
                f"{100 * theirs[key]:.2f}" if theirs else "–",
            ]
        rows.append(row)
    beside = PAPER_TABLES.get(one.name, "no table")
    return "\n\n".join(
        [
            f"{'#' * level} {one.title}: the paper's {beside} beside ours",
            _table(
                ["net", "radius", "test set", "the paper", "adversarial set", "the paper"], rows
            ),
            *_flags(one),
        ]
    )


def _flags(one: Stored) -> list[str]:
    """Return which nets failed a sanity gate of the brief verification in any seed, if any did."""
    failed = {
        net: gates
        for net, about in one.details["nets"].items()
        if (gates := about.get("failed_gates"))
    }
    return [
        f"Flagged: {net} failed {', '.join(gate.replace('_', ' ') for gate in gates)}; what attacks "
        "measured of it isn't to be believed."
        for net, gates in failed.items()
    ]


def _transfer(one: Stored) -> str:
    about = one.details["transfer"]
    parts = [
        f"## {one.title}: who falls for whose examples",
        f"Seed {about['seed']}, the first {about['images']:,} test images: single steps that fool the row's net, accuracy of the column's on "
        "them; in brackets on their originals.",
    ]
    for norm, matrix in about["matrix"].items():
        nets = list(matrix)
        rows = [
            [
                f"{row} ({next(iter(columns.values()))['examples']:,})",
                *(_cell(columns.get(column)) for column in nets),
            ]
            for row, columns in matrix.items()
        ]
        parts.append(f"{norm}, radius {size_label(about['sets'][norm]['radius'])}:")
        parts.append(_table(["made on (examples)", *nets], rows))
    kinds = sorted(set(about["architectures"].values()))
    parts.append(
        f"All these nets are of one architecture, {kinds[0]}: transfer between architectures hasn't been measured here."
        if len(kinds) == 1
        else "Architectures: "
        + ", ".join(f"{net} {kind}" for net, kind in about["architectures"].items())
        + "."
    )
    return "\n\n".join(parts)


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "0 (100)"
    if cell["accuracy"] is None:
        return "–"
    return f"{100 * cell['accuracy']:.1f} ({100 * cell['original_accuracy']:.1f})"


def _objectives(one: Stored) -> str:
    table = one.objectives
    if table is None:
        return ""
    shown = ["net", "objective", "options", "uncertainty_set", "radius", "test_accuracy"]
    shown += ["adversarial_set_accuracy", *attacked_columns(table)]
    proved = [str(column) for column in table.columns if str(column).startswith("certified_")]
    shown += proved
    certified = ", certified what interval bounds prove of the same images" if proved else ""
    return "\n\n".join(
        [
            f"## {one.title}: one net under each objective",
            f"The robust nets' seed and recipe, but for what `{one.name}.objectives.nets` changes; accuracies in per cent. PGD is projected gradient in the l∞ ball ε on "
            f"the first {int(table['pgd_images'].max()):,} test images{certified}. Command: `kedro run --pipeline={one.name}_objectives`",
            _table([*map(heading, shown)], _rows_of_nets(table, shown)),
            *_remarks(table),
        ]
    )


def _remarks(table: pd.DataFrame) -> Iterator[str]:
    """Yield what the columns of the table don't show."""
    for row in table.to_dict("records"):
        if not pd.isna(row.get("clipped_length", float("nan"))):
            yield (
                f"{row['net']}: its steps are clipped to the pixel box. What is left of one has {100 * row['clipped_length']:.0f} % of the radius for its "
                f"length, and {100 * row['off_plane']:.0f} % of that stands at right angles to the tangent plane (Eqs. 12, 13)."
            )
    if "operator_norm" in set(table["objective"]):
        yield "operator_norm: the paper knows of no empirical result for it. This is one, at one multiplier, which wasn't searched for."


def _most_accurate(table: pd.DataFrame) -> str:
    """Return which net that isn't plain is best on the test set, and how it stands to the plain ones."""
    accuracies = table.set_index("net")["test_accuracy"]
    plain = accuracies[[net for net in (BASELINE, CONTROL) if net in accuracies.index]]
    others = accuracies.drop(plain.index)
    said = " and ".join(f"the {net}'s {accuracy:.2f}" for net, accuracy in plain.items())
    return (
        f"the most accurate of {len(others)} is {others.idxmax()} with {others.max():.2f} %, against {said} "
        f"({int((others > plain.max()).sum())} of {len(others)} are above both). That is one seed."
    )


def _readings(one: Stored) -> str:
    table = one.readings
    if table is None:
        return ""
    shown = ["net", "step", "radius", "set_size", "test_accuracy", "adversarial_set_accuracy"]
    shown += attacked_columns(table)
    return "\n\n".join(
        [
            f"## {one.title}: the three readings of Eq. 11",
            "The same radius, seed and recipe; accuracies in per cent. Set size is how many examples that reading makes against the baseline at the "
            f"stored set's radius, PGD projected gradient in the l∞ ball ε. Command: `kedro run --pipeline={one.name}_readings`",
            _table([*map(heading, shown)], _rows_of_nets(table, shown)),
            *_conclusions(table),
            _default(table),
        ]
    )


def _default(table: pd.DataFrame) -> str:
    """Return for which norms the default, the exact step, is the most accurate on the test set."""
    best = {
        norm: rows.loc[rows["test_accuracy"] == rows["test_accuracy"].max(), "step"]
        for norm, rows in table.groupby("norm", sort=False)
    }
    ahead = [str(norm) for norm, steps in best.items() if set(steps) == {STEPS[0]}]
    names = f" ({', '.join(ahead)})" if ahead else ""
    return (
        f"The default is the exact step, {STEPS[0]}, which solves Eq. 11 over ball and box: of the readings it is the most accurate on the test set for "
        f"{len(ahead)} of {len(best)} norms{names}. That is one seed."
    )


def _rows_of_nets(table: pd.DataFrame, shown: Sequence[str]) -> list[list[str]]:
    """Return a row a net of these columns, the net's name first; – where there is no value."""
    return [
        [
            f"{row['net']} (flagged)" if _failed(row) else row["net"],
            *(_value(name, row[name]) for name in shown[1:]),
        ]
        for row in table.to_dict("records")
    ]


def _value(column: str, value: Any) -> str:
    if pd.isna(value):
        return "–"
    if column == "radius":
        return size_label(value) if value else "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _failed(row: Mapping[Any, Any]) -> bool:
    # a file has an empty field where nothing failed
    return isinstance(row.get("failed_gates"), str) and bool(row["failed_gates"])


def _conclusions(table: pd.DataFrame) -> Iterator[str]:
    """Yield what each norm's rows say of the default, the exact step."""
    columns = ("test_accuracy", "adversarial_set_accuracy", *attacked_columns(table))
    rows = table.to_dict("records")
    for norm in dict.fromkeys(row["norm"] for row in rows):
        exact = [row for row in rows if row["norm"] == norm and row["step"] == STEPS[0]]
        others = [row for row in rows if row["norm"] == norm and row["step"] != STEPS[0]]
        if not exact or not others:
            continue
        ahead = [
            f"{best['step']} by {best[column] - reference:.2f} ({heading(column)})"
            for column in columns
            for best in [max(others, key=itemgetter(column))]
            for reference in [max(row[column] for row in exact)]
            if best[column] > reference
        ]
        yield (
            f"{norm}: ahead of the exact step {', '.join(ahead)}."
            if ahead
            else f"{norm}: no other reading is ahead of the exact step in any column."
        )


def _distances(one: Stored) -> str:
    table = one.distances
    if table is None:
        return ""
    shown = [column for column in table.columns if column != "environment"]
    return "\n\n".join(
        [
            f"## {one.title}: how far the nearest wrong answer is",
            "Szegedy's attack (Eq. 1) on the first test images of each net: box-constrained L-BFGS with a search over c. Norms "
            "are l2, of the images that the net has right, and what an attack finds bounds the distance from above; `mean_distortion` is Szegedy et al.'s "
            f"sqrt(Σ Δ² / pixels). Command: `kedro run --pipeline={one.name}_smallest_perturbations`",
            _table(shown, [[str(row[name]) for name in shown] for row in table.to_dict("records")]),
        ]
    )


def _verified(entries: Sequence[Mapping[str, Any]]) -> str:
    columns = {
        "clean_accuracy": "no attack",
        "fgsm_accuracy": "one step",
        "pgd_accuracy": "PGD",
        "autoattack_accuracy": "AutoAttack",
    }
    rows = [
        [
            entry["experiment"],
            f"{entry['net']} (flagged)" if entry.get("failed_gates") else entry["net"],
            f"{entry['norm']} {size_label(entry['epsilon'])}",
            f"{entry['images']:,}",
            *("–" if entry[column] is None else f"{100 * entry[column]:.2f}" for column in columns),
            f"{entry['seconds'] / 60:.0f}",
        ]
        for entry in entries
    ]
    commands = sorted({entry["command"] for entry in entries if entry["command"]})
    flagged = {
        (entry["experiment"], entry["net"]): entry["failed_gates"]
        for entry in entries
        if entry.get("failed_gates")
    }
    return "\n\n".join(
        [
            "## What survives strong attacks",
            "Accuracy in per cent on the first so many test images; PGD is the lowest of all PGD runs, AutoAttack the standard version in full, – not "
            "run. From [results/verification.json](results/verification.json), made by `python -m robustify.verified_results`.",
            _table(
                ["", "net", "ball", "images", *columns.values(), "minutes of attacks"],
                rows,
            ),
            *(
                [f"Commands: {', '.join(f'`{command}`' for command in commands)}"]
                if commands
                else []
            ),
            *(
                f"Flagged: {net} of {experiment} failed {', '.join(gate.replace('_', ' ') for gate in gates)}; what attacks measured of it isn't to be believed."
                for (experiment, net), gates in flagged.items()
            ),
        ]
    )


def _other_settings(one: Stored) -> str:
    """What the claims and tables are under other settings than those of conf/base."""
    rows = [
        [
            claim.name,
            claim.says,
            finding.subject,
            finding.measured,
            "yes" if finding.holds else "no",
        ]
        for claim in CLAIMS
        for finding in claim.decide(one.summary, one.details)
    ]
    return "\n\n".join(
        [
            f"## {one.title} with the settings of `conf/{one.environment}`",
            "The same claims by the same rules. The verdicts above don't count these nets. Trained by "
            + ", ".join(
                f"`kedro run --env={one.environment} --pipeline={one.name}_robust --params={one.name}.seed={seed}`"
                for seed in one.summary["seeds"]
            )
            + f". In what else than the uncertainty set its nets differ, such as a batch normalisation of the input, stands in `conf/{one.environment}`; "
            "C1 can't tell that from robust training.",
            _runs([one]),
            _table(["", "the paper says", "part", "measured", "counts"], rows),
            _accuracies(one, level=3),
            *(_shown(one, name) for name in CAPTIONS if one.figure(name)),
            "Where steps leave the pixel box, figures draw what lies outside at its border.",
        ]
    )


def _beginning(one: Beginning) -> str:
    curves = one.curves
    nets, epochs = list(dict.fromkeys(curves["net"])), int(curves["epoch"].max())
    losses = [rows["loss"] for _, rows in curves.groupby("net", sort=False)]
    falling = sum(float(loss.iloc[-1]) < float(loss.iloc[0]) for loss in losses)
    chosen = ",".join(f"{one.of.name}.{net}.train" for net in nets)
    rows = [
        [
            row["net"],
            str(row["epoch"]),
            f"{row['loss']:.3f}",
            f"{100 * row['test_accuracy']:.2f}",
            f"{row['seconds']:.0f}",
        ]
        for row in curves.to_dict("records")
    ]
    return "\n\n".join(
        [
            f"## {one.of.title} with the settings of `conf/{one.environment}`: the first epochs",
            f"Not run in full: {epochs} epochs to see that the settings work. The loss falls for {falling} of {len(nets)} nets; so early their test accuracy says "
            f"little. Command, after one with `--nodes={one.of.name}.ingest`: "
            f"`kedro run --env={one.environment} --pipeline={one.of.name}_robust --nodes={chosen} "
            f"--params={one.of.name}.training.epochs={epochs}`",
            _table(["net", "epoch", "loss", "test accuracy, %", "seconds"], rows),
        ]
    )


def _shown(one: Stored, name: str) -> str:
    return f"![{CAPTIONS[name]}]({one.figure(name)})\n\n{CAPTIONS[name]}"


def _figures(one: Stored) -> str:
    shown = [_shown(one, name) for name in CAPTIONS if one.figure(name)]
    return "\n\n".join([f"## {one.title}: figures", *shown])


def _missing(
    stored: Sequence[Stored], verified: Sequence[Mapping[str, Any]], others: Sequence[Stored]
) -> str:
    lines = []
    attacked = {(entry["experiment"], entry["net"]) for entry in verified}
    for one in stored:
        waiting = [net for net in one.summary["nets"] if (one.name, net) not in attacked]
        if waiting:
            lines.append(
                f"{one.title}: strong attacks in full on {', '.join(waiting)}: `kedro run --pipeline={one.name}_verification`, "
                "then `python -m robustify.verified_results`"
            )
        seeds = one.summary["seeds"]
        if len(seeds) < WANTED_SEEDS:
            listed = ", ".join(map(str, seeds))
            lines.append(
                f"{one.title} with more seeds than {listed}: `kedro run --pipeline={one.name}_robust "
                f"--params={one.name}.seed={max(seeds) + 1}`"
            )
        if len(set(one.details["transfer"]["architectures"].values())) == 1:
            lines.append(
                f"{one.title}: transfer between architectures; name another net's file under `{one.name}.across_seeds.transfer.also`"
            )
        if not one.details["single_pixel"]:
            lines.append(
                f"{one.title}: single-pixel flips; the paper has them on MNIST only, and they are counted where `{one.name}.across_seeds.single_pixel` says how"
            )
        if one.objectives is None:
            lines.append(
                f"{one.title}: one net under each objective: `kedro run --pipeline={one.name}_objectives`"
            )
        settings = [
            other for other in others if (other.name, other.environment) == (one.name, AUTHORS)
        ]
        if not settings:
            lines.append(
                f"{one.title}: the authors' settings, `conf/{AUTHORS}`, in full: `kedro run --env={AUTHORS} --pipeline={one.name}_robust`"
            )
        if one.readings is None:
            lines.append(
                f"{one.title}: the readings of Eq. 11 side by side; the pipeline is there where `{one.name}.readings` names the nets, as MNIST's does"
            )
        if one.distances is None:
            lines.append(
                f"{one.title}: Szegedy's attack (Eq. 1): `kedro run --pipeline={one.name}_smallest_perturbations`"
            )
        once = {
            "one net under each objective": one.objectives is not None,
            "the readings of Eq. 11": one.readings is not None,
            "Szegedy's attack": one.distances is not None,
            "transfer between nets": True,
            "strong attacks in full": len(waiting) < len(one.summary["nets"]),
            f"the settings of `conf/{AUTHORS}`": any(
                len(other.summary["seeds"]) == 1 for other in settings
            ),
        }
        lines.append(
            f"{one.title}, on more than one seed: {', '.join(name for name, there in once.items() if there)}"
        )
    known = {one.name for one in stored}
    lines += [f"{name}: nothing stored" for name in PAPER_TABLES if name not in known]
    return "\n".join(f"* {line}" for line in lines) or "Nothing of what this page is about."


def _all(found: Mapping[str, list[Finding]]) -> list[Finding]:
    return [finding for findings in found.values() for finding in findings]


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in lines)
