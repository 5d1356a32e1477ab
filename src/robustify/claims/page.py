"""The page of results as Markdown, from stored results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustify.claims.rules import CLAIMS
from robustify.claims.sections import (
    accuracies,
    beginning,
    claim_by_claim,
    distances,
    figures,
    not_run,
    objectives,
    other_settings,
    readings,
    runs,
    survival,
    transfer,
    verdicts,
    watched,
)
from robustify.claims.stored import Beginning, Stored
from robustify.reporting.titles import COMPLETE

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
        runs.section(stored),
        "## The claims",
        "Each claim is decided by the rule in its section. Held means that all of its parts count, not held that none does, in part all else; undecided parts have no say.",
        verdicts.section(stored, decided),
        *verdicts.under_other_settings(others),
        *(claim_by_claim.section(claim, stored, decided[claim.name], others) for claim in CLAIMS),
        *(accuracies.section(one) for one in stored),
        *(transfer.section(one) for one in stored),
        *(objectives.section(one) for one in stored),
        *(readings.section(one) for one in stored),
        *(distances.section(one) for one in stored),
        survival.section(verified, stored),
        *(watched.section(one) for one in stored),
        *(other_settings.section(one, decided) for one in others),
        *(beginning.section(one) for one in beginnings),
        *(figures.section(one) for one in stored),
        not_run.section(stored, verified, others),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
