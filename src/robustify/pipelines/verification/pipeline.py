"""Wiring of the verification pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE
from robustify.pipelines.verification.nodes import gather_verifications, verify_net

# the data set that a net's verification is stored in, by depth
OUTPUTS = {"brief": "verification", "full": "full_verification"}


def create_pipeline(experiment: str, name: str, nets: tuple[str, ...], depth: str) -> Pipeline:
    """Return the verification of one net of an experiment.

    Args:
        experiment: its name.
        name: of the net.
        nets: all nets of the experiment; examples made on one of the others are tried on this one.
        depth: ``brief`` or ``full``, a key of the experiment's ``verification``.
    """
    output = OUTPUTS[depth]
    source = _source_of(name, nets)
    return Pipeline(
        [
            Node(
                update_wrapper(
                    partial(verify_net, title=f"{experiment}.{name}", depth=depth), verify_net
                ),
                [
                    "model",
                    "test_data",
                    "params:verification",
                    "params:seed",
                    "params:device",
                    *(["source"] if source else []),
                ],
                output,
                name="verify",
            ),
        ],
        namespace=f"{experiment}.{name}_{output}",
        inputs={
            "model": f"{experiment}.{name}.model",
            "test_data": f"{experiment}.test_data",
            **({"source": f"{experiment}.{source}.model"} if source else {}),
        },
        outputs={output: f"{experiment}.{name}.{output}"},
        parameters={
            f"params:{key}": f"params:{experiment}.{key}"
            for key in ("verification", "seed", "device")
        },
        tags=[experiment, "verification", name],
    )


def create_full_pipeline(experiment: str, nets: tuple[str, ...]) -> Pipeline:
    """Return the full verification of an experiment's trained nets, with a page of its own."""
    verifications = {f"{net}_verification": f"{experiment}.{net}.{OUTPUTS['full']}" for net in nets}
    gather = Pipeline(
        [
            Node(
                update_wrapper(partial(gather_verifications, nets=nets), gather_verifications),
                ["params:settings", *verifications],
                ["full_verification_table", "full_verification_page", "full_verification_figures"],
                name="gather_verifications",
            ),
        ],
        namespace=experiment,
        inputs=verifications,
        parameters={"params:settings": f"params:{experiment}"},
        tags=[experiment, "verification"],
    )
    return sum((create_pipeline(experiment, net, nets, "full") for net in nets), gather)


def _source_of(name: str, nets: tuple[str, ...]) -> str | None:
    others = [net for net in nets if net != name]
    return BASELINE if BASELINE in others else next(iter(others), None)
