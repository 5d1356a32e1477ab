"""Sections of the page of results: each shows what is stored of one kind, whatever the claims make of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import pandas as pd

from robustify.claims.markdown import table as markdown_table
from robustify.claims.rules.cost import uneven
from robustify.claims.stored import Beginning, Stored, titled
from robustify.configuration import BASELINE, CONTROL
from robustify.levels import size_label
from robustify.reporting.comparison import attacked_columns, heading
from robustify.reporting.terminal import spread_in_per_cent
from robustify.reporting.titles import COMPLETE
from robustify.significance import score_interval
from robustify.uncertainty import STEPS
from robustify.verification.gates import EDITION

PAPER_TABLES = {"mnist": "Table 1", "cifar": "Table 2"}
# of section 5 and of the authors' scripts; radii in the units of this page
PAPER_RECIPES = {
    "mnist": "Torch7's MNIST net, SGD at a rate of 0.01 with momentum 0.9, batches of 100, up to 120 epochs; all nets start from the same weights, robust "
    "ones have a batch normalisation of their input; radii 0.616 (l1, l2) and 0.0616 (l∞), or 0.550 and 0.055 if they standardised padded images, for their loader isn't published; steps "
    "not clipped to the pixel box. `conf/paper` has these settings.",
    "cifar": "VGG with batch normalisation and dropout, SGD at a rate of 1 halved every 25 epochs with momentum 0.9, batches of 128, 300 epochs; radii of roughly 0.05 (l2) "
    "and unpublished (l∞), steps not clipped to the pixel box. `conf/paper` has these settings.",
}
LEARNING_CURVES = "learning_curves.png"
CAPTIONS = {
    "accuracy_versus_epsilon.png": "Accuracy under one step against each net's own weights: l∞ (Figs. 3, 6), and l2 and l1, which the paper leaves out. Steps stay in the "
    "pixel box.",
    LEARNING_CURVES: "Test accuracy after each epoch, against epochs (Fig. 5) and against seconds, as many a median epoch of the net took. "
    "The axis begins where the second half of training does; earlier epochs may lie below.",
    "adversarial_set.png": "A sample of the adversarial set, the difference magnified (Figs. 2, 4).",
    "single_pixel_flips.png": "One circled pixel flips the baseline's answer (Fig. 1).",
}


def accuracies(one: Stored, *, level: int = 2) -> str:
    """Accuracies on test and adversarial set beside the paper's."""
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
            markdown_table(
                [
                    "net",
                    "trained at radius",
                    "test set",
                    "the paper",
                    "adversarial set",
                    "the paper",
                ],
                rows,
            ),
            *_recipes(one),
            *_flags(one),
        ]
    )


def _recipes(one: Stored) -> Iterator[str]:
    """Yield in what the nets of the table and the paper's differ, if it is stored."""
    trained = {
        net: about["trained"] for net, about in one.details["nets"].items() if "trained" in about
    }
    if trained and BASELINE in trained:
        yield f"Ours: {_recipe(trained)}. The stored set: {_stored_set(one)}."
        if one.name in PAPER_RECIPES:
            yield f"The paper's: {PAPER_RECIPES[one.name]}"


def _recipe(trained: Mapping[str, Mapping[str, Any]]) -> str:
    plain = trained[BASELINE]
    training, net = plain["training"], plain["architecture"]
    optimiser = training["optimiser"]
    smoothing = plain["objective"]["label_smoothing"]
    parts = [
        f"{net['name']}{f' ({_options(net)})' if len(net) > 1 else ''}",
        f"{training['epochs']} epochs of {plain['images']:,} images in batches of {training['batch_size']:,}",
        f"{optimiser['name']} ({_options(optimiser)}; schedule {training['schedule']['name']})",
        f"images shifted by up to {training['translation']} pixels"
        if training["translation"]
        else "images not shifted",
        f"flips {'on' if training['flips'] else 'off'}",
        *([f"label smoothing {smoothing:g}"] if smoothing else []),
        *_seeds(trained),
    ]
    return ", ".join(parts)


def _seeds(trained: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield whose seed the robust nets share: the weights that they begin with, and the order of the images."""
    robust = {
        about["seed_offset"] for net, about in trained.items() if net not in (BASELINE, CONTROL)
    }
    for net in (BASELINE, CONTROL):
        if net in trained and robust == {trained[net]["seed_offset"]}:
            yield f"robust nets with the {net}'s seed"


def _stored_set(one: Stored) -> str:
    sets = one.details["adversarial_set"][0]["sets"]
    return ", ".join(
        f"{norm} {size_label(ball['radius'])}"
        + (f" ({ball['step']})" if ball.get("step", STEPS[0]) != STEPS[0] else "")
        for norm, ball in sets.items()
    )


def _options(named: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{option.replace('_', ' ')} {_in_words(value)}"
        for option, value in named.items()
        if option != "name"
    )


def _in_words(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


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


def transfer(one: Stored) -> str:
    """Whose examples fool whom, a matrix a norm."""
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
        parts.append(markdown_table(["made on (examples)", *nets], rows))
    # stored by earlier versions, a matrix doesn't say it
    right = about.get("accuracy", {})
    kinds = sorted(set(about["architectures"].values()))
    parts.append(
        f"All these nets are of one architecture, {kinds[0]}: transfer between architectures hasn't been measured here."
        if len(kinds) == 1
        else "Architectures: "
        + ", ".join(
            f"{net} {kind}"
            + (f" ({100 * right[net]:.1f} % of these images right)" if net in right else "")
            for net, kind in about["architectures"].items()
        )
        + ". Where a net has few of the originals right, what it has of the examples says little of transfer between good classifiers."
    )
    return "\n\n".join(parts)


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "0 (100)"
    if cell["accuracy"] is None:
        return "–"
    return f"{100 * cell['accuracy']:.1f} ({100 * cell['original_accuracy']:.1f})"


def objectives(one: Stored) -> str:
    """Return one net under each objective; nothing if that wasn't made."""
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
            markdown_table([*map(heading, shown)], _rows_of_nets(table, shown)),
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


def readings(one: Stored) -> str:
    """Return the three readings of Eq. 11 side by side; nothing if that wasn't made."""
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
            markdown_table([*map(heading, shown)], _rows_of_nets(table, shown)),
            *conclusions(table),
            _default(table),
        ]
    )


def _default(table: pd.DataFrame) -> str:
    """Return for which balls the default, the exact step, is the most accurate on the test set."""
    best = {
        ball: {
            row["step"]
            for row in rows
            if row["test_accuracy"] == max(each["test_accuracy"] for each in rows)
        }
        for ball, rows in _by_ball(table).items()
    }
    ahead = [ball for ball, steps in best.items() if steps == {STEPS[0]}]
    names = f" ({', '.join(ahead)})" if ahead else ""
    return (
        f"The default is the exact step, {STEPS[0]}, which solves Eq. 11 over ball and box: of the readings it is the most accurate on the test set for "
        f"{len(ahead)} of {len(best)} balls{names}. That is one seed."
    )


def _by_ball(table: pd.DataFrame) -> dict[str, list[dict[Any, Any]]]:
    """Return the nets trained on each ball, by its norm, or norm and radius where the norm has several."""
    balls: dict[tuple[str, float], list[dict[Any, Any]]] = {}
    for row in table.to_dict("records"):
        balls.setdefault((row["norm"], row["radius"]), []).append(row)
    norms = [norm for norm, _ in balls]
    return {
        norm if norms.count(norm) == 1 else f"{norm} {size_label(radius)}": rows
        for (norm, radius), rows in balls.items()
    }


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


def conclusions(table: pd.DataFrame) -> Iterator[str]:
    """Yield what each ball's rows say of the default, the exact step."""
    columns = ("test_accuracy", "adversarial_set_accuracy", *attacked_columns(table))
    for ball, rows in _by_ball(table).items():
        exact = [row for row in rows if row["step"] == STEPS[0]]
        others = [row for row in rows if row["step"] != STEPS[0]]
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
            f"{ball}: ahead of the exact step {', '.join(ahead)}."
            if ahead
            else f"{ball}: no other reading is ahead of the exact step in any accuracy shown here."
        )


def distances(one: Stored) -> str:
    """Return how far Szegedy's attack goes to flip a label; nothing if that wasn't made."""
    table = one.distances
    if table is None:
        return ""
    shown = [column for column in table.columns if column not in ("environment", "ending")]
    longer = (
        ""
        if "ending" in table.columns
        else ". **Older than the code:** these perturbations go past the border; the command now shortens them along themselves to end at it."
    )
    return "\n\n".join(
        [
            f"## {one.title}: how far the nearest wrong answer is",
            "Szegedy's attack (Eq. 1) on the first test images of each net: box-constrained L-BFGS with a search over c. Norms "
            "are l2, of the images that the net has right, and what an attack finds bounds the distance from above, more loosely for nets of very small or large logits; `mean_distortion` is Szegedy et al.'s "
            f"sqrt(Σ Δ² / pixels). Command: `kedro run --pipeline={one.name}_smallest_perturbations`{longer}",
            markdown_table(
                shown, [[str(row[name]) for name in shown] for row in table.to_dict("records")]
            ),
        ]
    )


def verified(entries: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """What strong attacks left, an entry a net and ball; experiments by their titles, where known."""
    columns = {
        "clean_accuracy": "no attack",
        "fgsm_accuracy": "one step",
        "pgd_accuracy": "PGD",
        "autoattack_accuracy": "AutoAttack",
        "all_attacks_accuracy": "all attacks",
    }
    rows = [
        [
            _titled(entry, titles),
            f"{entry['net']} (flagged)" if entry.get("failed_gates") else entry["net"],
            f"{entry['norm']} {size_label(entry['epsilon'])}",
            f"{entry['images']:,}",
            *(
                "–" if entry.get(column) is None else f"{100 * entry[column]:.2f}"
                for column in columns
            ),
            _interval_of_lowest(entry, columns),
            f"{entry['seconds'] / 60:.0f}" if entry["seconds"] >= 60 else "< 1",
        ]
        for entry in entries
    ]
    commands = sorted({entry["command"] for entry in entries if entry["command"]})
    flagged = {
        (_titled(entry, titles), entry["net"]): entry["failed_gates"]
        for entry in entries
        if entry.get("failed_gates")
    }
    return "\n\n".join(
        [
            "## What survives strong attacks",
            "Accuracy in per cent on the first so many test images; PGD is the lowest of all PGD runs, AutoAttack the standard version in full, all attacks "
            "what no attack broke that was run in that ball, APGD-CE included; – not run, or not stored. The interval is Wilson's of the lowest accuracy in its row, 95 %: what "
            "other images might have given, not other seeds or attacks. From [results/verification.json](results/verification.json), made by `python -m robustify.verified_results`.",
            markdown_table(
                ["", "net", "ball", "images", *columns.values(), "interval", "minutes of attacks"],
                rows,
            ),
            *(
                [f"Commands: {', '.join(f'`{command}`' for command in commands)}"]
                if commands
                else []
            ),
            *_older(entries, titles),
            *(
                f"Flagged: {net} of {experiment} failed {', '.join(gate.replace('_', ' ') for gate in gates)}; what attacks measured of it isn't to be believed."
                for (experiment, net), gates in flagged.items()
            ),
        ]
    )


def _interval_of_lowest(entry: Mapping[str, Any], columns: Iterable[str]) -> str:
    """Return the interval of the lowest accuracy measured in a ball, in per cent."""
    measured = [entry[column] for column in columns if entry.get(column) is not None]
    if not measured:
        return "–"
    ends = score_interval(round(min(measured) * entry["images"]), entry["images"])
    return " to ".join(f"{100 * end:.1f}" for end in ends)


def _titled(entry: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    title = titles.get(entry["experiment"], entry["experiment"])
    return titled(title, entry.get("environment", COMPLETE))


def _older(entries: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield which nets' entries are of weaker attacks or fewer gates; what they lack tells how old they are."""
    weaker = _named(
        (entry for entry in entries if entry["norm"] == "l1" and "code_sha256" not in entry),
        titles,
    )
    if weaker:
        yield (
            f"In l1, PGD was another attack in the entries of {', '.join(weaker)}: each step went for a single value of the image, where the first steps of every other "
            "start now move up to a twentieth of them. Today's may leave less."
        )
    milder = _named((entry for entry in entries if entry.get("gates_edition", 1) < EDITION), titles)
    if milder:
        yield (
            f"Of {', '.join(milder)} the sanity gates asked less than today's, which ask for steady answers where attacks go, too, and in every examined ball whether queries "
            "alone break what gradients left: that nothing is flagged doesn't mean that today's would pass."
        )


def _named(entries: Iterable[Mapping[str, Any]], titles: Mapping[str, str]) -> list[str]:
    """Return the nets that entries are of, each once."""
    named = (f"{entry['net']} ({_titled(entry, titles)})" for entry in entries)
    return list(dict.fromkeys(named))


def beginning(one: Beginning) -> str:
    """The first epochs under other settings."""
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
            markdown_table(["net", "epoch", "loss", "test accuracy, %", "seconds"], rows),
        ]
    )


def shown(one: Stored, name: str) -> str:
    """A figure with its caption, which doubts seconds that its claim doubts."""
    doubt = uneven(one.details["nets"]) if name == LEARNING_CURVES else ""
    told = f" Seconds are {doubt}." if doubt else ""
    return f"![{CAPTIONS[name]}]({one.figure(name)})\n\n{CAPTIONS[name]}{told}"


def figures(one: Stored) -> str:
    """All figures that there are."""
    there = [shown(one, name) for name in CAPTIONS if one.figure(name)]
    return "\n\n".join([f"## {one.title}: figures", *there])
