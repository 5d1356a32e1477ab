"""What the watch saw: whether training on single steps overfitted to them."""

from __future__ import annotations

from robustify.claims.markdown import markdown_table
from robustify.claims.sections.figures import WATCHED_NETS
from robustify.claims.stored import Stored

_SEEN = {
    "held_out_accuracy": "no attack",
    "held_out_fgsm_accuracy": "one step",
    "held_out_pgd_accuracy": "PGD",
}


def section(one: Stored) -> str:
    """Return what one step and several left after each epoch of the nets that were watched; nothing if none was."""
    seen = one.watched
    if seen is None:
        return ""
    nets = list(dict.fromkeys(seen["net"]))
    rows = []
    for net in nets:
        epochs = seen[seen["net"] == net]
        kept = epochs[epochs["kept"].astype(bool)].iloc[0]
        lowest, highest = epochs["held_out_pgd_accuracy"].agg(["min", "max"])
        rows.append(
            [
                str(net),
                str(len(epochs)),
                str(int(epochs["overfits"].astype(bool).sum())),
                str(kept["epoch"]),
                *(f"{100 * kept[column]:.1f}" for column in _SEEN),
                f"{100 * lowest:.1f} to {100 * highest:.1f}",
            ]
        )
    path = one.figure(WATCHED_NETS)
    caption = f"{one.title}: one step against several, on held-out training images, after each epoch of the nets that were watched."
    namespaces = ",".join(f"{one.name}.{net}" for net in nets)
    return "\n\n".join(
        [
            f"## {one.title}: catastrophic overfitting, watched",
            "After each epoch the watch puts training images that are held out before one step (FGSM) and before several (PGD) in the ball that the net is trained in. "
            "Where one step leaves far more than several, the net has overfitted to single steps: the epoch counts as flagged. Accuracies in per cent, of the epoch whose "
            f"weights are kept. Command: `kedro run --env=robust --pipeline={one.name}_robust --namespaces={namespaces}`",
            *([f"![{caption}]({path})\n\n{caption}"] if path else []),
            markdown_table(
                [
                    "net",
                    "epochs",
                    "flagged",
                    "kept",
                    *_SEEN.values(),
                    "PGD, least and most of all epochs",
                ],
                rows,
            ),
        ]
    )
