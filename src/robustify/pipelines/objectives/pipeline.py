"""Wiring of the objectives pipeline."""

from __future__ import annotations

from functools import partial, update_wrapper

from kedro.pipeline import Node, Pipeline

from robustify.configuration import BASELINE, TANGENT_SET, Experiment, Net
from robustify.pipelines.objectives.nodes import attack_net, compare_objectives, measure_clipping


def create_pipeline(experiment: str, parameters: Experiment) -> Pipeline:
    """Return the comparison of all nets of an experiment, those of ``objectives`` included."""
    nets = {name: parameters.all_nets[name] for name in parameters.nets_with("objectives.nets")}
    clipped = tuple(name for name, (_, net) in nets.items() if _is_clipped(net))
    return sum(
        (
            *(attack(experiment, name, group="objectives") for name in nets),
            *(_clipping(experiment, name) for name in clipped),
            _comparison(experiment, tuple(nets), clipped),
        ),
        Pipeline([]),
    )


def _is_clipped(net: Net) -> bool:
    options = net.uncertainty_set.model_dump()
    return options["name"] == TANGENT_SET and options.get("step") != "unclipped"


def attack(experiment: str, name: str, *, group: str, output: str = "robustness") -> Pipeline:
    """Return one net's accuracy under projected gradient descent; the gates try examples made on the baseline, too.

    Args:
        experiment: its name.
        name: of the net.
        group: parameter that has ``pgd``, and tag.
        output: the net's data set that it is stored in.
    """
    source = {} if name == BASELINE else {"source": f"{experiment}.{BASELINE}.model"}
    return Pipeline(
        [
            Node(
                update_wrapper(partial(attack_net, title=f"{experiment}.{name}"), attack_net),
                [
                    "model",
                    "test_data",
                    "params:pgd",
                    "params:verification",
                    "params:seed",
                    "params:device",
                    *source,
                ],
                output,
                name="attack_net",
            ),
        ],
        namespace=f"{experiment}.{name}_{output}",
        inputs={
            "model": f"{experiment}.{name}.model",
            "test_data": f"{experiment}.test_data",
            **source,
        },
        outputs={output: f"{experiment}.{name}.{output}"},
        parameters={
            "params:pgd": f"params:{experiment}.{group}.pgd",
            **{
                f"params:{key}": f"params:{experiment}.{key}"
                for key in ("verification", "seed", "device")
            },
        },
        tags=[experiment, group, name],
    )


def _clipping(experiment: str, name: str) -> Pipeline:
    shared = ("training_data", "neighbours")
    return Pipeline(
        [
            Node(
                measure_clipping,
                ["model", *shared, "params:tangent_planes", "params:device"],
                "clipping",
                name="measure_clipping",
            ),
        ],
        namespace=f"{experiment}.{name}_clipping",
        inputs={
            "model": f"{experiment}.{name}.model",
            **{dataset: f"{experiment}.{dataset}" for dataset in shared},
        },
        outputs={"clipping": f"{experiment}.{name}.clipping"},
        parameters={
            f"params:{key}": f"params:{experiment}.{key}" for key in ("tangent_planes", "device")
        },
        tags=[experiment, "objectives", name],
    )


def _comparison(experiment: str, nets: tuple[str, ...], clipped: tuple[str, ...]) -> Pipeline:
    measured = {
        f"{net}_{dataset}": f"{experiment}.{net}.{dataset}"
        for dataset in ("model", "evaluation", "learning_curve", "robustness")
        for net in nets
    } | {f"{net}_clipping": f"{experiment}.{net}.clipping" for net in clipped}
    compare = partial(compare_objectives, nets=nets, clipped=clipped)
    shared = ("title", "environment")
    return Pipeline(
        [
            Node(
                update_wrapper(compare, compare_objectives),
                [*(f"params:{key}" for key in shared), *measured],
                ["objectives", "objectives_figure"],
                name="compare_objectives",
            ),
        ],
        namespace=experiment,
        inputs=measured,
        parameters={f"params:{key}": f"params:{experiment}.{key}" for key in shared},
        tags=[experiment, "objectives"],
    )
