"""Every seed has files of its own, and DVC is told of the same ones."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.io.catalog_config_resolver import CatalogConfigResolver

from robustify.checks.parameters import ConfigurationError, experiments_of
from robustify.errors import InputError
from robustify.hooks.checked_parameters import _of_two_seeds
from robustify.pipeline_registry import experiment_pipeline, seeds_pipeline
from robustify.placement import place, seed_of
from robustify.settings import CONFIG_LOADER_ARGS

from .checked import check
from .conftest import PROJECT


def load(key: str) -> dict[str, Any]:
    return OmegaConfigLoader(str(PROJECT / "conf"), env="base", **CONFIG_LOADER_ARGS)[key]


def catalog_of(**changes: Any) -> tuple[Any, CatalogConfigResolver]:
    """The MNIST experiment with changed parameters and the catalog of its run."""
    parameters = load("parameters")
    parameters["mnist"].update(changes)
    experiments = experiments_of(parameters)
    return experiments["mnist"], CatalogConfigResolver(place(load("catalog"), experiments))


def path_of(catalog: CatalogConfigResolver, name: str) -> str:
    return str(catalog.resolve_pattern(name)["filepath"])


def test_seed_0_stays_where_it_was_and_another_seed_has_its_own_files() -> None:
    _, home = catalog_of()
    assert path_of(home, "mnist.l2.model") == "data/06_models/mnist/l2.safetensors"
    assert path_of(home, "mnist.results") == "data/08_reporting/mnist/results.json"
    experiment, catalog = catalog_of(seed=7)
    pipeline = experiment_pipeline("mnist", experiment)
    outputs = {name for node in pipeline.nodes for name in node.outputs}
    for name in outputs - {"mnist.training_data", "mnist.test_data"}:
        here, there = path_of(catalog, name), path_of(home, name)
        assert here == there.replace("/mnist", "/mnist/seed_7", 1), name
    for name in (
        "mnist.training_data",
        "mnist.test_data",
        "mnist.neighbours",
        "mnist.across_seeds",
    ):
        assert path_of(catalog, name) == path_of(home, name)
    # the other experiment has its own seed
    assert path_of(catalog, "cifar.l2.model") == "data/06_models/cifar/l2.safetensors"


def test_settings_with_a_folder_stand_beside_the_others() -> None:
    _, home = catalog_of()
    _, catalog = catalog_of(folder="paper")
    assert path_of(catalog, "mnist.l2.model") == "data/06_models/mnist/paper/l2.safetensors"
    assert path_of(catalog, "mnist.report") == "data/08_reporting/mnist/paper/report.html"
    assert path_of(catalog, "mnist.seed_2.l2.model") == (
        "data/06_models/mnist/paper/seed_2/l2.safetensors"
    )
    assert path_of(catalog, "mnist.across_seeds") == (
        "data/08_reporting/mnist/paper/across_seeds/summary.json"
    )
    # the data are the same
    for name in ("mnist.training_data", "mnist.test_data", "mnist.neighbours"):
        assert path_of(catalog, name) == path_of(home, name)
    # another seed of it
    _, other = catalog_of(folder="paper", seed=3)
    assert path_of(other, "mnist.l2.model") == "data/06_models/mnist/paper/seed_3/l2.safetensors"
    assert path_of(other, "mnist.across_seeds") == path_of(catalog, "mnist.across_seeds")


@pytest.mark.parametrize("folder", ["l2", "seed_1", "figures", "../elsewhere", "Paper", ""])
def test_a_folder_that_others_use_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="folder"):
        catalog_of(folder=folder)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_seed_is_read_under_its_name_whatever_the_runs_own(seed: int) -> None:
    _, catalog = catalog_of(seed=seed)
    assert path_of(catalog, "mnist.seed_0.l2.model") == "data/06_models/mnist/l2.safetensors"
    assert path_of(catalog, "mnist.seed_2.l2.predictions") == (
        "data/07_model_output/mnist/seed_2/l2/predictions.safetensors"
    )
    assert path_of(catalog, "mnist.seed_2.adversarial_set") == (
        "data/05_model_input/mnist/seed_2/adversarial_set.safetensors"
    )
    assert seed_of("mnist.seed_2.l2.model") == ("mnist", 2)
    assert seed_of("mnist.l2.model") is None


@pytest.mark.parametrize("experiment", ["mnist", "cifar"])
def test_dvc_knows_the_files_of_every_seed(experiment: str) -> None:
    parameters = load("parameters")
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
    one, gathering = stages[f"{experiment}_seed"], stages[f"{experiment}_seeds"]
    options = experiments_of(parameters)[experiment]
    assert [0, *one["matrix"]["seed"]] == options.seeds

    gather = seeds_pipeline(experiment, options)
    catalog = CatalogConfigResolver(place(load("catalog"), {experiment: options}))
    inputs = {path_of(catalog, name) for name in gather.inputs() if "params:" not in name}
    assert {name for name in gathering["deps"] if name.startswith("data/")} == inputs
    outputs = {path_of(catalog, name) for node in gather.nodes for name in node.outputs}
    assert {*gathering["outs"], *gathering["metrics"]} == outputs

    parameters[experiment]["seed"] = 1
    other = experiments_of(parameters)[experiment]
    placed = CatalogConfigResolver(place(load("catalog"), {experiment: other}))
    run = experiment_pipeline(experiment, other)
    made = {path_of(placed, name) for node in run.nodes for name in node.outputs}
    listed = {name.replace("${item.seed}", "1") for name in (*one["outs"], *one["metrics"])}
    ingested = {f"data/02_intermediate/{experiment}/{part}_data.safetensors" for part in ("training", "test")}  # fmt: skip
    assert listed == made - ingested
    tags = one["cmd"].split("--tags=")[1].split()[0].split(",")
    assert len(run.only_nodes_with_tags(*tags).nodes) == len(run.nodes) - 1, "all but ingestion"


@pytest.mark.parametrize(
    ("seeds", "expected"), [(0, [0]), ("0 3", [0, 3]), ([2, 1], [2, 1]), ([], [])]
)
def test_seeds_can_be_said_on_the_command_line(seeds: object, expected: list[int]) -> None:
    assert catalog_of(seeds=seeds)[0].seeds == expected


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([1, 1], "names something twice"),
        ("1,2", "separated by spaces"),
        (-1, "greater than or equal to 0"),
        ([0.5], "integer"),
    ],
)
def test_wrong_seeds_are_refused(seeds: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"mnist.seeds.*{message}"):
        catalog_of(seeds=seeds)


@pytest.mark.parametrize(("seed", "told"), [(0, True), (1, False)])
def test_examples_go_between_nets_of_one_seed(seed: int, told: bool) -> None:
    parameters = load("parameters")
    parameters["mnist"] |= {"seeds": "1 2", "seed": seed}
    complaints = list(_of_two_seeds("mnist", experiments_of(parameters)["mnist"]))
    assert len(complaints) == told
    assert all("mnist.seeds: begins with 1, but" in complaint for complaint in complaints)
    parameters["mnist"]["across_seeds"]["transfer"]["nets"] = {}
    assert not list(_of_two_seeds("mnist", experiments_of(parameters)["mnist"]))


def test_wrong_balls_to_measure_in_are_refused() -> None:
    parameters = load("parameters")
    parameters["mnist"]["across_seeds"]["transfer"]["sets"] = {"l3": {"radius": 1.0}}
    parameters["mnist"]["across_seeds"]["steps"]["radii"]["l2"] = [1.0, 29.0]
    with pytest.raises(InputError) as caught:
        check("mnist", experiments_of(parameters)["mnist"])
    assert "mnist.across_seeds.transfer.sets.l3" in str(caught.value)
    assert "only 28 across" in str(caught.value)
