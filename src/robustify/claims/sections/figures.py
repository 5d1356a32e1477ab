"""Figures with their captions."""

from __future__ import annotations

from collections.abc import Iterator

from robustify.claims.rules.cost import uneven
from robustify.claims.stored import Stored

LEARNING_CURVES = "learning_curves.png"
# stand with what they are of, not among the others
STRONG_ATTACKS = "strong_attacks.png"
WATCHED_NETS = "watched_nets.png"
CAPTIONS = {
    "accuracy_versus_epsilon.png": "Accuracy under one step against each net's own weights: l∞ (Figs. 3, 6), and l2 and l1, which the paper leaves out. Steps stay in the "
    "pixel box.",
    LEARNING_CURVES: "Test accuracy after each epoch, against epochs (Fig. 5) and against seconds, as many a median epoch of the net took. "
    "The axis begins where the second half of training does; earlier epochs may lie below.",
    "adversarial_set.png": "A sample of the adversarial set, the difference magnified (Figs. 2, 4).",
    "single_pixel_flips.png": "One circled pixel flips the baseline's answer (Fig. 1).",
}


def section(one: Stored) -> str:
    """Return all figures that there are; nothing if there are none."""
    there = [*shown(one)]
    return "\n\n".join([f"## {one.title}: figures", *there]) if there else ""


def shown(one: Stored) -> Iterator[str]:
    """Yield each figure with its caption, which doubts seconds that its claim doubts."""
    for name, caption in CAPTIONS.items():
        path = one.figure(name)
        if path:
            doubt = uneven(one.details["nets"]) if name == LEARNING_CURVES else ""
            yield f"![{caption}]({path})\n\n{caption}{f' Seconds are {doubt}.' if doubt else ''}"
