"""The numbers of README and docs/findings.md are the stored results', not somebody's memory of them."""

from __future__ import annotations

import json
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from .conftest import PROJECT

README = (PROJECT / "README.md").read_text()
# whatever the lines are broken at
FINDINGS = " ".join((PROJECT / "docs" / "findings.md").read_text().split())
LABELS = {
    "baseline": "baseline",
    "control": "control: the baseline with another seed",
    "l1": "robust l1",
    "l2": "robust l2",
    "linf": "robust l∞",
}


def stored(experiment: str) -> dict:
    return json.loads((PROJECT / "docs" / "results" / f"{experiment}.json").read_text())


def row(experiment: str, label: str) -> list[str]:
    """The cells of a net's row in the table below the experiment's name, the paper's numbers left out."""
    below = README.partition({"mnist": "**MNIST**", "cifar": "**CIFAR-10**"}[experiment])[2]
    found = re.search(rf"^\| {re.escape(label)} \|(.*)\|$", below, flags=re.MULTILINE)
    assert found, label
    return [re.sub(r"\(.*\)", "", cell).strip() for cell in found[1].split("|")]


@pytest.mark.parametrize("experiment", ["mnist", "cifar"])
def test_the_tables_are_those_of_seed_0(experiment: str) -> None:
    results = stored(experiment)
    assert results["seeds"][0] == 0
    for net, measured in results["nets"].items():
        _, test, adversarial = row(experiment, LABELS[net])[:3]
        assert test == f"{100 * measured['test_accuracy']['values'][0]:.2f}"
        assert float(adversarial) == round(
            100 * measured["adversarial_set_accuracy"]["values"][0], 2
        )
    images = results["tests"]["adversarial_set"]["l2"]["by_image"][0]["images"]
    size = results["adversarial_set"]["size"][0]
    assert f"adversarial set holds {size:,} examples of {images:,} test images" in README
    assert (
        f"adversarial set of seed 0 holds {size:,} examples of {images:,} test images" in FINDINGS
    )


@pytest.mark.parametrize(
    ("experiment", "nets", "metric", "digits"),
    [
        ("mnist", ["baseline", "l1", "l2", "linf"], "test_accuracy", 2),
        ("mnist", ["control", "l1", "l2", "linf"], "adversarial_set_accuracy", 1),
        ("cifar", ["baseline", "l2", "linf"], "test_accuracy", 2),
        ("mnist_few_images", ["baseline", "l1", "l2", "linf"], "test_accuracy", 2),
        ("cifar_few_images", ["baseline", "control", "l2", "linf"], "test_accuracy", 2),
    ],
)
def test_means_and_deviations_are_those_of_the_seeds(
    experiment: str, nets: list[str], metric: str, digits: int
) -> None:
    measured = stored(experiment)["nets"]
    written = [
        f"{100 * measured[net][metric]['mean']:.{digits}f} ± {100 * measured[net][metric]['std']:.{digits}f}"
        for net in nets
    ]
    places = [FINDINGS.find(one) for one in written]
    assert -1 not in places, written
    assert places == sorted(places), "in the order of the nets"


def test_gains_on_fewer_images_are_those_stored() -> None:
    nets = {
        net: found["test_accuracy"]["values"]
        for net, found in stored("mnist_few_images")["nets"].items()
    }
    # the control of a seed is the baseline of the next
    assert nets["control"][:-1] == nets["baseline"][1:]
    standard = np.mean([*nets["baseline"], nets["control"][-1]])
    gains = [f"{100 * (np.mean(nets[net]) - standard):.2f}" for net in ("l1", "l2", "linf")]
    written = "l1, l2 and l∞ training gain {}, {} and {} points of test accuracy over all seven standard nets".format(
        *gains
    )
    assert written in " ".join(README.split())


def test_what_fewer_images_of_cifar_gain_is_that_of_all_standard_nets() -> None:
    nets = stored("cifar_few_images")["nets"]
    base, control, l2, linf = (
        nets[net]["test_accuracy"]["values"] for net in ("baseline", "control", "l2", "linf")
    )
    # the control of a seed is the baseline of the next
    assert control[:-1] == base[1:]
    readme = " ".join(README.split())
    standard = np.mean([*base, control[-1]])
    gain, loss = (
        f"{100 * sign * (np.mean(values) - standard):.2f}" for sign, values in ((1, linf), (-1, l2))
    )
    assert (
        f"six seeds), without label smoothing and at smaller radii, l∞ training gains {gain} points over them "
        f"and l2 training loses {loss}," in readme
    )
    assert f"all seven standard nets l∞ training gains {gain} points" in FINDINGS
    assert f"l2 training loses {loss}." in FINDINGS
    first, last = (
        f"{100 * (np.mean(linf[three]) - np.mean(base[three])):.2f} points above"
        for three in (slice(3), slice(3, 6))
    )
    assert f"have the l∞ net {first} the baseline" in FINDINGS
    assert f"Seeds 3 to 5 have it {last}." in FINDINGS
    sweeps = [stored("cifar_few_images_details")["nets"][net]["fgsm"] for net in ("l2", "linf")]
    ahead = [
        min(np.subtract(swept["values"], sweeps[1][epsilon]["values"])) > 0
        for epsilon, swept in sweeps[0].items()
    ]
    assert f"one l∞ step, at {sum(ahead)} of {len(ahead)} values of ε in every seed" in FINDINGS


@pytest.mark.parametrize(("title", "experiment"), [("MNIST", "mnist"), ("CIFAR-10", "cifar")])
def test_the_nets_that_hold_are_those_stored(title: str, experiment: str) -> None:
    (entry,) = [
        entry
        for entry in stored("verification")
        if (entry["experiment"], entry["net"]) == (experiment, "linf_strong")
    ]
    below = README.partition("| net `linf_strong` |")[2]
    found = re.search(rf"^\| {title} \|(.*)\|$", below, flags=re.MULTILINE)
    assert found
    ball, _, *accuracies, images = (cell.strip(" *") for cell in found[1].split("|"))
    assert accuracies == [
        f"{100 * entry[f'{attack}_accuracy']:.1f}"
        for attack in ("clean", "fgsm", "pgd", "autoattack")
    ]
    norm, size = ball.split()
    assert (norm, float(Fraction(size))) == ("l∞", entry["epsilon"])
    assert f"{entry['images']:,}" in images


def test_what_is_said_of_strong_attacks_is_what_is_stored() -> None:
    left = {
        (entry["experiment"], entry["net"], entry["norm"], round(entry["epsilon"], 6)): entry
        for entry in stored("verification")
        if "environment" not in entry
    }
    readme = " ".join(README.split())
    at_radius, beyond = (left["mnist", "linf", "linf", radius] for radius in (0.12, 0.2))
    assert f"has {100 * beyond['fgsm_accuracy']:.1f} % of the first 1,000 test images" in readme
    assert f"leave {100 * beyond['all_attacks_accuracy']:.1f} %; at 0.12" in readme
    assert at_radius["autoattack_accuracy"] == at_radius["all_attacks_accuracy"]
    assert f"at 0.12 they leave {100 * at_radius['autoattack_accuracy']:.1f} %" in readme
    half = round(0.5 / 255, 6)
    for net, norm, radius in (("linf", "linf", half), ("l2", "l2", 0.05)):
        entry = left["cifar", net, norm, radius]
        assert entry["images"] == 100
        kept = (
            entry["clean_accuracy"],
            entry["autoattack_accuracy"],
            left["cifar", "baseline", norm, radius]["all_attacks_accuracy"],
        )
        counted = " | ".join(f"{100 * share:.0f}" for share in kept)
        named = norm.replace("linf", "l∞")
        assert re.search(rf"\| robust {named} \| {named} [^|]*\| {re.escape(counted)} \|", readme)
    usual = round(8 / 255, 6)
    assert not any(
        left["cifar", net, "linf", usual]["all_attacks_accuracy"]
        for net in ("baseline", "control", "l2", "linf")
    )


def test_what_is_said_of_objectives_is_what_is_stored() -> None:
    table = pd.read_csv(PROJECT / "docs/results/mnist_objectives.csv").set_index("net")
    fed, single, several = (table.loc[net] for net in ("fed_back", "linf", "projected_gradient"))
    readme = " ".join(README.split())
    assert (
        f"has {fed['adversarial_set_accuracy']:.1f} % of the set right and {fed['pgd_0.1']:.1f} % of 2,000 test images"
        in readme
    )
    assert f"has {fed['adversarial_set_accuracy']:.2f}, and {fed['pgd_0.1']:.1f} of the first 2,000" in FINDINGS  # fmt: skip
    assert f"keeps {several['pgd_0.2']:.1f} instead of" in FINDINGS
    assert f"({several['test_accuracy']} against {single['test_accuracy']})" in FINDINGS
    for column in ("test_accuracy", "adversarial_set_accuracy", "pgd_0.1"):
        told = f"{{:.{2 if column == 'test_accuracy' else 1}f}}"
        for net in ("tangent", "tangent_unclipped"):
            assert told.format(table.loc[net, column]) in FINDINGS
