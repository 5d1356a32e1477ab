"""What strong attacks left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from robustify.claims.markdown import markdown_table
from robustify.claims.sections.figures import STRONG_ATTACKS
from robustify.claims.stored import Stored, titled
from robustify.levels import size_label
from robustify.reporting.titles import COMPLETE
from robustify.significance import score_interval
from robustify.verification.gates import EDITION

COLUMNS = {
    "clean_accuracy": "no attack",
    "fgsm_accuracy": "one step",
    "pgd_accuracy": "PGD",
    "autoattack_accuracy": "AutoAttack",
    "all_attacks_accuracy": "all attacks",
}


def section(entries: Sequence[Mapping[str, Any]], stored: Sequence[Stored]) -> str:
    """Return what strong attacks left, a row a net and ball; nothing if none was run.

    Args:
        entries: see :func:`robustify.verified_results.gather`.
        stored: the experiments, for their titles and figures; others go by their names.
    """
    if not entries:
        return ""
    titles = {one.name: one.title for one in stored}
    return "\n\n".join(
        [
            "## What survives strong attacks",
            "Accuracy in per cent on the first so many test images; PGD is the lowest of all PGD runs, AutoAttack the standard version in full, all attacks "
            "what no attack broke that was run in that ball, APGD-CE included; – not run, or not stored. The interval is Wilson's of the lowest accuracy in its row, 95 %: what "
            "other images might have given, not other seeds or attacks. From [results/verification.json](results/verification.json), made by `python -m robustify.verified_results`.",
            *_figures(stored),
            markdown_table(
                ["", "net", "ball", "images", *COLUMNS.values(), "interval", "minutes of attacks"],
                [_row(entry, titles) for entry in entries],
            ),
            *_commands(entries),
            *_older(entries, titles),
            *_flags(entries, titles),
        ]
    )


def _figures(stored: Iterable[Stored]) -> Iterator[str]:
    for one in stored:
        path = one.figure(STRONG_ATTACKS)
        if path:
            caption = (
                f"{one.title}: the gap between dotted and solid lines is how much a single step flatters a net. A star is where the standard AutoAttack was "
                "among the attacks; of a net that was attacked in a single ball there is no line. Images as in the table."
            )
            yield f"![{caption}]({path})\n\n{caption}"


def _row(entry: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    return [
        _titled(entry, titles),
        f"{entry['net']} (flagged)" if entry.get("failed_gates") else entry["net"],
        f"{entry['norm']} {size_label(entry['epsilon'])}",
        f"{entry['images']:,}",
        *("–" if entry.get(column) is None else f"{100 * entry[column]:.2f}" for column in COLUMNS),
        _interval_of_lowest(entry),
        f"{entry['seconds'] / 60:.0f}" if entry["seconds"] >= 60 else "< 1",
    ]


def _commands(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    commands = sorted({entry["command"] for entry in entries if entry["command"]})
    if commands:
        yield f"Commands: {', '.join(f'`{command}`' for command in commands)}"


def _flags(entries: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield which nets failed which sanity gates, each once."""
    flagged = {
        (_titled(entry, titles), entry["net"]): gates
        for entry in entries
        if (gates := entry.get("failed_gates"))
    }
    for (experiment, net), gates in flagged.items():
        yield f"Flagged: {net} of {experiment} failed {', '.join(gate.replace('_', ' ') for gate in gates)}; what attacks measured of it isn't to be believed."


def _interval_of_lowest(entry: Mapping[str, Any]) -> str:
    """Return the interval of the lowest accuracy measured in a ball, in per cent."""
    measured = [entry[column] for column in COLUMNS if entry.get(column) is not None]
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
