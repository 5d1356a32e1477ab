"""Wiring of the seeds pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE, Experiment
from robustify.pipelines.seeds.nodes import (
    count_single_pixel_flips,
    draw_across_seeds,
    gather_across_seeds,
    measure_net,
    measure_transfer,
)
from robustify.placement import dataset_of

Key = tuple[int, str, str]


def create_pipeline(experiment: str, parameters: Experiment) -> Pipeline:
    """Return what is measured of every seed's stored nets, and the gathering of it.

    Args:
        experiment: its name.
        parameters: its parameters, with ``seeds`` and ``across_seeds``.
    """
    nets = tuple(parameters.nets)
    return sum(
        (
            *(_measure(experiment, seed, net) for seed in parameters.seeds for net in nets),
            *(
                _count_flips(experiment, seed)
                for seed in parameters.seeds
                if parameters.across_seeds and parameters.across_seeds.single_pixel
            ),
            *(_transfer(experiment, seed, parameters) for seed in parameters.seeds),
            _gather(experiment, parameters),
        ),
        Pipeline([]),
    )


def _measure(experiment: str, seed: int, net: str) -> Pipeline:
    return Pipeline(
        [
            Node(
                measure_net,
                ["model", "test_data", "adversarial_set", "params:steps", "params:device"],
                ["predictions", "steps"],
                name="measure",
            ),
        ],
        namespace=dataset_of(experiment, seed, net),
        inputs={
            "model": dataset_of(experiment, seed, f"{net}.model"),
            "test_data": f"{experiment}.test_data",
            "adversarial_set": dataset_of(experiment, seed, "adversarial_set"),
        },
        parameters={
            "params:steps": f"params:{experiment}.across_seeds.steps",
            "params:device": f"params:{experiment}.device",
        },
        tags=[experiment, "seeds", net],
    )


def _count_flips(experiment: str, seed: int) -> Pipeline:
    return Pipeline(
        [
            Node(
                count_single_pixel_flips,
                ["model", "test_data", "params:single_pixel", "params:device"],
                "single_pixel",
                name="count_single_pixel_flips",
            ),
        ],
        namespace=f"{experiment}.seed_{seed}",
        inputs={
            "model": dataset_of(experiment, seed, f"{BASELINE}.model"),
            "test_data": f"{experiment}.test_data",
        },
        parameters={
            "params:single_pixel": f"params:{experiment}.across_seeds.single_pixel",
            "params:device": f"params:{experiment}.device",
        },
        tags=[experiment, "seeds"],
    )


def _transfer(experiment: str, seed: int, parameters: Experiment) -> Pipeline:
    own = tuple(parameters.nets)
    others = tuple(parameters.across_seeds.transfer.nets) if parameters.across_seeds else ()
    nets = (*own, *others)
    models = {
        **{f"{net}_model": dataset_of(experiment, seed, f"{net}.model") for net in own},
        **{f"{net}_model": f"{experiment}.{net}.model" for net in others},
    }
    return Pipeline(
        [
            Node(
                update_wrapper(partial(measure_transfer, seed=seed, nets=nets), measure_transfer),
                ["test_data", "params:transfer", "params:device", *models],
                "transfer",
                name="measure_transfer",
            ),
        ],
        namespace=f"{experiment}.seed_{seed}",
        inputs={**models, "test_data": f"{experiment}.test_data"},
        parameters={
            "params:transfer": f"params:{experiment}.across_seeds.transfer",
            "params:device": f"params:{experiment}.device",
        },
        tags=[experiment, "seeds", "transfer"],
    )


def _gather(experiment: str, parameters: Experiment) -> Pipeline:
    keys = _keys(parameters)
    measured = {
        f"seed_{seed}_{net}_{kind}": dataset_of(experiment, seed, f"{net}.{kind}" if net else kind)
        for seed, net, kind in keys
    }
    gather = partial(gather_across_seeds, keys=keys)
    return Pipeline(
        [
            Node(
                update_wrapper(gather, gather_across_seeds),
                ["test_data", "params:settings", *measured],
                ["across_seeds", "across_seeds_details"],
                name="gather_seeds",
            ),
            Node(
                draw_across_seeds,
                ["across_seeds_details", "first_set", "test_data", "params:settings"],
                "across_seeds_figures",
                name="draw_seeds",
            ),
        ],
        namespace=experiment,
        inputs={
            **measured,
            "first_set": dataset_of(experiment, parameters.seeds[0], "adversarial_set"),
        },
        parameters={"params:settings": f"params:{experiment}"},
        tags=[experiment, "seeds", "gathering"],
    )


def _keys(parameters: Experiment) -> tuple[Key, ...]:
    kinds = ["predictions", "steps", "evaluation", "learning_curve"]
    if parameters.verification.brief:
        kinds.append("verification")
    of_seed = ["adversarial_set", "transfer"]
    if parameters.across_seeds and parameters.across_seeds.single_pixel:
        of_seed.append("single_pixel")
    return tuple(
        key
        for seed in parameters.seeds
        for key in (
            *((seed, "", kind) for kind in of_seed),
            *((seed, net, kind) for net in parameters.nets for kind in kinds),
        )
    )
