"""The whole DAG on small parts of the real data, as a user runs it."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from robustify import load_net
from robustify.measurement import accuracy
from robustify.storage import load_tensors

from ..notebooks import execute, printed
from .project import Project, few_attacks, without_times

SMALL = {
    "mnist": (
        "mnist.data.training_images=4000,mnist.data.test_images=500,mnist.training.epochs=2,"
        + few_attacks("mnist")
    ),
    "cifar": (
        "cifar.data.training_images=4000,cifar.data.test_images=500,cifar.training.epochs=3,"
        "cifar.training.batch_size=250," + few_attacks("cifar")
    ),
}

# for side-by-side tables an epoch is enough; bounds need two to prove anything
ONE_EPOCH = {
    "objectives": (
        "projected_gradient", "mixed", "vat", "tangent", "tangent_unclipped", "manifold_tangent", "jacobian", "operator_norm",
        "fed_back",
    ),
    "readings": ("l1_unclipped", "l1_literal", "l2_unclipped", "l2_literal", "linf_unclipped"),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def runs(project: Project) -> dict[str, str]:
    """What the runs of both experiments printed."""
    return {
        name: project.kedro(
            "run", f"--pipeline={name}_robust", "--env=quick", f"--params={parameters}"
        ).stdout
        for name, parameters in SMALL.items()
    }


@pytest.mark.parametrize(
    ("experiment", "nets", "floor"),
    [
        ("mnist", ["baseline", "control", "l1", "l2", "linf"], 0.85),
        ("cifar", ["baseline", "control", "l2", "linf"], 0.30),
    ],
)
def test_every_net_learns_and_every_file_is_there(
    project: Project, runs: dict[str, str], experiment: str, nets: list[str], floor: float
) -> None:
    found = project.results(experiment)
    assert list(found["nets"]) == nets
    assert all(net["test_accuracy"] > floor for net in found["nets"].values())
    assert found["nets"]["baseline"]["adversarial_set_accuracy"] == 0
    stored = found["adversarial_set"]
    assert stored["size"] == sum(stored["by_norm"].values()) > 0
    for net in nets:
        sweep = found["nets"][net]["epsilon_sweep"]
        assert len(sweep) == 8
        assert max(sweep.values()) <= found["nets"][net]["test_accuracy"]
    folder = project.folder / "data/08_reporting" / experiment
    assert set(pd.read_csv(folder / "learning_curves.csv")["net"]) == set(nets)
    assert len(pd.read_csv(folder / "epsilon_sweep.csv")) == 8 * len(nets)
    assert list(pd.read_csv(folder / "table.csv")["net"]) == nets
    page = (folder / "report.html").read_text()
    pictures = list((folder / "figures").glob("*.png"))
    assert page.count("data:image/png;base64") == len(pictures) == (4 if "l1" in nets else 3)
    assert "http://" not in page
    assert "adversarial set:" in runs[experiment]
    assert f"data/08_reporting/{experiment}/report.html" in runs[experiment]


@pytest.mark.parametrize("experiment", ["mnist", "cifar"])
def test_every_net_is_put_before_attacks_and_gates(
    project: Project, runs: dict[str, str], experiment: str
) -> None:
    found = project.results(experiment)["nets"]
    table = pd.read_csv(project.folder / f"data/08_reporting/{experiment}/verification.csv")
    assert set(table["net"]) == set(found)
    for name, measured in found.items():
        verification = measured["verification"]
        rows = {(row["norm"], row["epsilon"]) for row in verification["measured"]}
        if measured["radius"]:
            assert (measured["uncertainty_set"]["name"], measured["radius"]) in rows
        assert len({verdict["gate"] for verdict in verification["gates"]}) >= 10
        for row in verification["measured"]:
            assert row["accuracy"] <= row["clean_accuracy"]
        # a line may be wrapped, so look for words of it
        assert f"{name}: of {verification['images']} images" in runs[experiment]
    page = (project.folder / f"data/08_reporting/{experiment}/report.html").read_text()
    assert "What survives" in page


def test_stored_files_say_again_what_was_measured(project: Project, runs: dict[str, str]) -> None:
    data = project.folder / "data"
    stored = load_tensors(data / "05_model_input/mnist/adversarial_set.safetensors")
    test = load_tensors(data / "02_intermediate/mnist/test_data.safetensors")
    for name, expected in project.results("mnist")["nets"].items():
        net = load_net(data / f"06_models/mnist/{name}.safetensors")
        assert accuracy(net, test.tensors["images"], test.tensors["labels"]) == pytest.approx(
            expected["test_accuracy"]
        )
        assert accuracy(net, stored.tensors["images"], stored.tensors["labels"]) == pytest.approx(
            expected["adversarial_set_accuracy"]
        )
    clean = test.tensors["images"][stored.tensors["source"]].float() / 255
    moved = (stored.tensors["images"] - clean).flatten(1)
    for index, norm in enumerate(stored.provenance["norms"]):
        mine = moved[stored.tensors["norm"] == index].numpy()
        order = {"l1": 1, "l2": 2, "linf": np.inf}[norm]
        radius = stored.provenance["sets"][norm]["radius"]
        assert np.linalg.norm(mine, ord=order, axis=1).max() <= radius * (1 + 1e-4)


def test_mlflow_has_a_run_a_net_under_the_pipelines_run(
    project: Project, runs: dict[str, str]
) -> None:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("robustify")
    found = client.search_runs([experiment.experiment_id], max_results=50)
    children = [run for run in found if "mlflow.parentRunId" in run.data.tags]
    names = [run.data.tags["mlflow.runName"] for run in children]
    expected = [f"mnist.{n}" for n in ("baseline", "control", "l1", "l2", "linf")]
    expected += [f"cifar.{n}" for n in ("baseline", "control", "l2", "linf")]
    assert sorted(names) == sorted(expected)
    assert all(run.info.status == "FINISHED" for run in found)
    assert len(found) - len(children) == 2
    run = children[names.index("mnist.l2")]
    measured = project.results("mnist")["nets"]["l2"]
    assert run.data.metrics["adversarial_set_accuracy"] == measured["adversarial_set_accuracy"]
    assert len(client.get_metric_history(run.info.run_id, "test_accuracy")) == 2
    assert run.data.params["training.epochs"] == "2"
    assert run.data.params["uncertainty_set.radius"] == str(measured["radius"])
    assert run.data.tags["robustify.norm"] == "l2"
    assert re.fullmatch(r"[0-9a-f]{64}", run.data.tags["robustify.data_sha256"])
    assert run.outputs.model_outputs


def test_stored_nets_are_verified_in_full_by_a_pipeline_of_its_own(
    project: Project, runs: dict[str, str]
) -> None:
    import mlflow

    path = project.folder / "conf/quick/parameters_mnist.yml"
    quick = yaml.safe_load(path.read_text())
    quick["mnist"]["verification"]["full"] = {
        "images": 2,
        "norms": {"l1": [2.0], "l2": [1.2], "linf": [0.12]},
        "gates": {"images": 12, "steps": 4},
        # of one net: of two images it takes as long as all other attacks on all nets
        "autoattack": {"l1": None, "linf": None},
    }
    path.write_text(yaml.safe_dump(quick))
    told = project.kedro(
        "run", "--pipeline=mnist_verification", "--env=quick", f"--params={SMALL['mnist']}"
    ).stdout
    assert "l2: of 2 images" in told
    folder = project.folder / "data/08_reporting/mnist"
    table = pd.read_csv(folder / "full_verification.csv")
    assert set(table["attack"]) == {
        "one_step", "pgd_20", "pgd_50", "apgd_ce", "autoattack", "all_attacks",
    }  # fmt: skip
    assert "and AutoAttack at l2 1.2" in (folder / "full_verification.html").read_text()
    client = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("robustify")
    (run,) = client.search_runs(
        [experiment.experiment_id], "attributes.run_name = 'mnist.l2'", max_results=5
    )
    (row,) = table.query("net == 'l2' and epsilon == 1.2 and attack == 'autoattack'").itertuples()
    assert run.data.metrics["full_verification_l2_1.2_autoattack"] == row.accuracy


def test_the_same_seed_gives_the_same_bytes_and_results_but_for_times(
    project: Project, runs: dict[str, str]
) -> None:
    def stored() -> dict[str, bytes]:
        folder = project.folder / "data"
        return {
            str(path): path.read_bytes()
            for layer in ("02_intermediate", "05_model_input", "06_models")
            for path in (folder / layer / "mnist").glob("*.safetensors")
        }

    before, files = project.results("mnist"), stored()
    assert len(files) == 2 + 1 + 5
    shutil.rmtree(project.folder / "data/06_models/checkpoints")
    project.kedro("run", "--pipeline=mnist_robust", "--env=quick", f"--params={SMALL['mnist']}")
    assert without_times(project.results("mnist")) == without_times(before)
    assert stored() == files


def test_objectives_and_readings_stand_side_by_side(project: Project, runs: dict[str, str]) -> None:
    for name, nets in ONE_EPOCH.items():
        parameters = [SMALL["mnist"], f"mnist.{name}.pgd.images=100"]
        parameters += [f"mnist.{name}.nets.{net}.training.epochs=1" for net in nets]
        project.kedro(
            "run", f"--pipeline=mnist_{name}", "--env=quick", f"--params={','.join(parameters)}"
        )
    folder = project.folder / "data"
    test = load_tensors(folder / "02_intermediate/mnist/test_data.safetensors").tensors
    objectives, readings = (
        pd.read_csv(folder / f"08_reporting/mnist/{name}.csv", keep_default_na=False).set_index(
            "net"
        )
        for name in ("objectives", "readings")
    )
    assert list(objectives.index)[5:] == [
        "projected_gradient", "mixed", "vat", "tangent", "tangent_unclipped", "manifold_tangent", "jacobian",
        "operator_norm", "interval_bound", "fed_back",
    ]  # fmt: skip
    assert (objectives["adversarial_training_images"] > 0).tolist() == [False] * 14 + [True]
    assert objectives.loc["projected_gradient", "options"] == "steps=5"
    assert objectives.index[objectives["clipped_length"] != ""].tolist() == ["tangent"]
    assert set(readings["step"]) == {"box_aware", "literal", "unclipped"}
    for table in (objectives, readings):
        assert set(table.columns) >= {"failed_gates", "pgd_0.1", "pgd_0.2"}
        for net, row in table.iterrows():
            stored = load_net(folder / f"06_models/mnist/{net}.safetensors")
            right = accuracy(stored, test["images"], test["labels"])
            assert row["test_accuracy"] == pytest.approx(100 * right, abs=0.01)
            assert row["pgd_0.2"] <= row["pgd_0.1"] <= row["test_accuracy"] + 3
    # what is proved can't be attacked away
    proved = objectives["certified_0.1"].astype(float)
    assert (proved <= objectives["pgd_0.1"]).all()
    assert proved["interval_bound"] > 0


def test_smallest_perturbations_flip_the_stored_nets(
    project: Project, runs: dict[str, str]
) -> None:
    few = ",".join(
        f"mnist.smallest_perturbations.{key}={value}"
        for key, value in {
            "images": 5,
            "candidates": 2,
            "search_steps": 2,
            "iterations": 15,
        }.items()
    )
    parameters = f"{SMALL['mnist']},{few}"
    told = project.kedro(
        "run", "--pipeline=mnist_smallest_perturbations", "--env=quick", f"--params={parameters}"
    ).stdout
    assert "Szegedy's attack (Eq. 1)" in told
    folder = project.folder / "data"
    clean = load_tensors(folder / "02_intermediate/mnist/test_data.safetensors").tensors
    table = pd.read_csv(folder / "08_reporting/mnist/smallest_perturbations.csv").set_index("net")
    for net, row in table.iterrows():
        found = load_tensors(
            folder / f"07_model_output/mnist/{net}/smallest_perturbations.safetensors"
        ).tensors
        answers = load_net(folder / f"06_models/mnist/{net}.safetensors")(found["images"]).argmax(1)
        flipped = answers != clean["labels"][:5]
        assert flipped.tolist() == found["found"].tolist()
        norms = (found["images"] - clean["images"][:5].float() / 255).flatten(1).norm(dim=1)
        norms[~flipped] = float("inf")
        right = found["prediction_before"] == clean["labels"][:5]
        assert row["median_norm"] == pytest.approx(norms[right].quantile(0.5).item(), abs=1e-3)
    pictures = {
        path.name for path in (folder / "08_reporting/mnist/smallest_perturbations").iterdir()
    }
    assert pictures == {"smallest_perturbations.png", *(f"{net}.png" for net in table.index)}


def test_a_set_is_added_by_parameters_alone(project: Project, runs: dict[str, str]) -> None:
    name = "mnist.nets.l2_wide.uncertainty_set"
    parameters = f"{SMALL['mnist']},{name}.name=l2,{name}.radius=2.0"
    project.kedro(
        "run", "--pipeline=mnist_robust", "--env=quick", "--tags=l2_wide", f"--params={parameters}"
    )
    measured = json.loads(
        (project.folder / "data/07_model_output/mnist/l2_wide/evaluation.json").read_text()
    )
    assert measured["radius"] == 2.0
    assert measured["test_accuracy"] > 0.85


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("mnist.nets.l2.uncertainty_set.name=l7", "'l7' is unknown; known: point, l1, l2, linf"),
        ("mnsit.training.epochs=1", "mnsit: is unknown; did you mean mnist?"),
    ],
)
def test_a_wrong_parameter_is_one_line_before_any_work(
    project: Project, parameter: str, complaint: str
) -> None:
    failed = project.kedro("run", "--pipeline=mnist_robust", f"--params={parameter}", check=False)
    assert failed.returncode != 0
    assert complaint in failed.stderr + failed.stdout
    assert "Traceback" not in failed.stderr + failed.stdout


def test_a_runner_that_trains_nets_in_threads_is_refused(project: Project) -> None:
    refused = project.kedro(
        "run", "--pipeline=mnist_robust", "--env=quick", "--runner=ThreadRunner", check=False
    )
    assert refused.returncode != 0
    told = " ".join((refused.stderr + refused.stdout).split())
    assert "the ThreadRunner would share one random generator" in told
    assert "leave --runner out" in told
    assert "Traceback" not in told


def test_saving_in_any_order_changes_nothing(project: Project, runs: dict[str, str]) -> None:
    import mlflow

    path = project.folder / "data/06_models/mnist/l1.safetensors"
    before = path.read_bytes()
    project.kedro(
        "run", "--pipeline=mnist_robust", "--env=quick", "--namespaces=mnist.l1", "--async",
        f"--params={SMALL['mnist']}",
    )  # fmt: skip
    assert path.read_bytes() == before
    client = mlflow.MlflowClient(project.store)
    experiment = client.get_experiment_by_name("robustify")
    latest = client.search_runs([experiment.experiment_id], max_results=2)
    for run in latest:
        assert run.info.status == "FINISHED"
        assert bool(run.outputs.model_outputs) == (run.info.run_name == "mnist.l1")


def test_a_damaged_file_is_named_in_one_line(project: Project, runs: dict[str, str]) -> None:
    path = project.folder / "data/06_models/mnist/l2.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    failed = project.kedro(
        "run", "--pipeline=mnist_robust", "--env=quick", "--nodes=mnist.l2_evaluation.evaluate",
        f"--params={SMALL['mnist']}", check=False,
    )  # fmt: skip
    path.write_bytes(content)
    assert failed.returncode != 0
    assert "l2.safetensors is damaged" in (failed.stderr + failed.stdout).replace("\n", " ")
    assert "Traceback" not in failed.stderr + failed.stdout


def test_what_lies_there_is_looked_at_before_anything_else_is_done(
    project: Project, runs: dict[str, str]
) -> None:
    run = ("run", "--pipeline=mnist_robust", "--env=quick", f"--params={SMALL['mnist']}")
    path = project.folder / "data/06_models/mnist/linf.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    # the l2 net is trained first
    refused = project.kedro(*run, "--tags=l2,evaluation", check=False)
    path.write_bytes(content)
    told = refused.stdout + refused.stderr
    assert "linf.safetensors is damaged" in told.replace("\n", " ")
    assert "Traceback" not in told
    assert "Completed node" not in told
    # nets that are passed over must be those of the parameters, too
    more_epochs = f"--params={SMALL['mnist'].replace('training.epochs=2', 'training.epochs=3')}"
    (project.folder / "data/08_reporting/mnist/table.csv").rename(project.folder / "table.csv")
    refused = project.kedro(*run[:3], more_epochs, "--only-missing-outputs", check=False)
    (project.folder / "table.csv").rename(project.folder / "data/08_reporting/mnist/table.csv")
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "trained with training.epochs 2, the parameters say 3: mnist." in told
    assert "Completed node" not in told


def test_another_seed_leaves_the_first_alone_and_both_are_gathered(
    project: Project, runs: dict[str, str]
) -> None:
    data = project.folder / "data"
    before = {
        path: path.read_bytes()
        for layer in ("02_intermediate", "05_model_input", "06_models", "07_model_output")
        for path in (data / layer / "mnist").rglob("*.*")
        if path.is_file()
    }
    gather = ("run", "--pipeline=mnist_seeds", "--env=quick")
    small = f"--params={SMALL['mnist']},mnist.seeds=0 1"
    refused = project.kedro(*gather, small, check=False)
    assert refused.returncode != 0
    message = " ".join(refused.stderr.split())
    assert "mnist with seed 1" in message
    assert "kedro run --pipeline=mnist_robust --params=mnist.seed=1" in message

    parameters = f"--params={SMALL['mnist']},mnist.seed=1"
    project.kedro("run", "--pipeline=mnist_robust", "--env=quick", parameters)
    assert {path: path.read_bytes() for path in before} == before
    other = json.loads((data / "08_reporting/mnist/seed_1/results.json").read_text())
    assert other["seed"] == 1

    text = project.kedro(*gather, small).stdout
    assert "mean ± standard deviation of seeds 0, 1" in text
    folder = data / "08_reporting/mnist/across_seeds"
    summary = json.loads((folder / "summary.json").read_text())
    assert set(summary) == {"seeds", "adversarial_set", "nets", "tests"}
    each = [project.results("mnist"), other]
    for net, measured in summary["nets"].items():
        for key in ("test_accuracy", "adversarial_set_accuracy"):
            expected = [results["nets"][net][key] for results in each]
            assert measured[key]["values"] == pytest.approx(expected)
    transfers = json.loads((folder / "details.json").read_text())["transfers"]
    for transfer, results in zip(transfers, each, strict=True):
        # and nets that were trained for this alone
        assert set(transfer["accuracy"]) == set(transfer["architectures"]) > set(summary["nets"])
        # of the first images only, so near to what the whole test set gives
        for net in summary["nets"]:
            expected = results["nets"][net]["test_accuracy"]
            assert transfer["accuracy"][net] == pytest.approx(expected, abs=0.05)
    assert {path.name for path in (folder / "figures").glob("*.png")} == {
        "accuracy_versus_epsilon.png",
        "adversarial_set.png",
        "learning_curves.png",
        "single_pixel_flips.png",
    }


def test_the_notebook_walks_through_what_is_stored(
    project: Project, runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    for experiment in SMALL:
        monkeypatch.setenv("ROBUSTIFY_EXPERIMENT", experiment)
        executed = execute(project.folder / "notebooks" / "reproduce_the_paper.ipynb")
        text = printed(executed)
        assert "the l∞ net:" in text
        assert f"{project.results(experiment)['adversarial_set']['size']:,} examples" in text
