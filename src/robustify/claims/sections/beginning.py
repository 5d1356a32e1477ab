"""The first epochs under settings that weren't run in full."""

from __future__ import annotations

from robustify.claims.markdown import markdown_table
from robustify.claims.stored import Beginning


def section(one: Beginning) -> str:
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
