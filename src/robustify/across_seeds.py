"""What all seeds' nets were measured to do, gathered: the summary with its tests, and the details behind the claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from robustify.configuration import ALL_ATTACKS, BASELINE, CONTROL, POINT, Data, Net
from robustify.errors import InputError
from robustify.fingerprint import configuration_sha256
from robustify.ingestion.specification import images_asked_for
from robustify.recipes import asked_for, first_difference
from robustify.seeds import summarise
from robustify.significance import Right, compare, over_seeds

Key = tuple[int, str, str]
_BOOTSTRAP_SEED = 1
BEST = "linf"


def gather(
    *,
    labels: npt.NDArray[np.int64],
    test_data_sha256: str,
    transfer: Mapping[str, Any],
    settings: Mapping[str, Any],
    measured: Mapping[Key, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the summary (see :func:`robustify.seeds.summarise`) and the details.

    Args:
        labels: true classes of the test images, shape (N,).
        test_data_sha256: of the test data.
        transfer: see :func:`robustify.pipelines.seeds.nodes.measure_transfer`.
        settings: the experiment's parameters.
        measured: by seed, net (empty of what belongs to no net) and kind.

    Raises:
        InputError: if a net's measurements aren't of the data that is stored now, or a net was trained
            otherwise than the settings say, on other data, say, or for fewer epochs.
    """
    seeds = list(dict.fromkeys(seed for seed, _, _ in measured))
    nets = list(dict.fromkeys(net for _, net, _ in measured if net))
    for seed in seeds:
        for net in nets:
            _check_data(measured, (seed, net), test_data_sha256)
            _check_alike(measured, (seed, net), (seeds[0], net))
    _check_transfer(measured, transfer)
    _check_training(measured, seeds, nets, settings, images=len(labels))
    on_test_set = [
        {
            net: measured[seed, net, "predictions"].tensors["test_set"].numpy() == labels
            for net in nets
        }
        for seed in seeds
    ]
    on_stored_set = [_on_stored_set(measured, seed, nets) for seed in seeds]
    details = {
        "title": settings["title"],
        "environment": settings["environment"],
        "seeds": seeds,
        "test_images": len(labels),
        "complete": is_complete(settings),
        "adversarial_set": [
            {
                key: measured[seed, "", "adversarial_set"].provenance[key]
                for key in ("size", "by_norm", "sets")
            }
            for seed in seeds
        ],
        "nets": {
            net: {
                **_net(measured, seeds, net, [right[net] for right in on_test_set]),
                "trained": _recipe(settings, net),
            }
            for net in nets
        },
        "best_on_adversarial_set": _best(on_stored_set, nets),
        "single_pixel": [
            measured[seed, "", "single_pixel"]
            for seed in seeds
            if (seed, "", "single_pixel") in measured
        ],
        "transfer": dict(transfer),
        "paper": settings["paper"],
    }
    sources = [measured[seed, "", "adversarial_set"].tensors["source"].numpy() for seed in seeds]
    summary = summarise(seeds, on_test_set, on_stored_set, sources)
    # they are two files, and a process may end between them
    return summary, {**details, "summary_sha256": configuration_sha256(summary)}


def is_complete(settings: Mapping[str, Any]) -> bool:
    """Return whether results are more than a look at the graph, whatever its environment is called.

    Fewer training images are a setting like any other where the settings have a folder of their own, so
    that their results can't be taken for the experiment's.

    Args:
        settings: the experiment's parameters.
    """
    data = settings["data"]
    few = data.get("training_images") and not settings.get("folder")
    return not (few or data.get("test_images"))


def _on_stored_set(measured: Mapping[Key, Any], seed: int, nets: list[str]) -> dict[str, Right]:
    labels = measured[seed, "", "adversarial_set"].tensors["labels"].numpy()
    return {
        net: measured[seed, net, "predictions"].tensors["adversarial_set"].numpy() == labels
        for net in nets
    }


def _net(
    measured: Mapping[Key, Any], seeds: list[int], net: str, rights: list[Right]
) -> dict[str, Any]:
    evaluations = [measured[seed, net, "evaluation"] for seed in seeds]
    curves = [measured[seed, net, "learning_curve"] for seed in seeds]
    steps = [measured[seed, net, "steps"] for seed in seeds]
    verifications = [
        measured[seed, net, "verification"]
        for seed in seeds
        if (seed, net, "verification") in measured
    ]
    return {
        "uncertainty_set": evaluations[0]["uncertainty_set"],
        "trains_on_points": evaluations[0]["uncertainty_set"]["name"] == POINT,
        "curves": {
            "test_accuracy": [curve["test_accuracy"].tolist() for curve in curves],
            "seconds": [curve["seconds"].round(2).tolist() for curve in curves],
        },
        "fgsm": {
            epsilon: over_seeds(
                [evaluation["epsilon_sweep"][epsilon] for evaluation in evaluations]
            )
            for epsilon in evaluations[0]["epsilon_sweep"]
        },
        "clean": over_seeds([float(right.mean()) for right in rights]),
        "step_images": steps[0]["images"],
        "step_clean": over_seeds([float(right[: steps[0]["images"]].mean()) for right in rights]),
        "steps": {
            norm: {
                radius: over_seeds([step["accuracy"][norm][radius] for step in steps])
                for radius in by_radius
            }
            for norm, by_radius in steps[0]["accuracy"].items()
        },
        "attacked": _attacked(verifications),
        "failed_gates": sorted({gate for found in verifications for gate in found["failed_gates"]}),
    }


def _attacked(verifications: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return accuracies under all attacks of the brief verification, a row a ball."""
    if not verifications:
        return []
    rows = [
        {
            (row["norm"], row["epsilon"]): row
            for row in verification["measured"]
            if row["attack"] == ALL_ATTACKS
        }
        for verification in verifications
    ]
    return [
        {
            "norm": norm,
            "epsilon": epsilon,
            "images": verifications[0]["images"],
            "accuracy": over_seeds([found[norm, epsilon]["accuracy"] for found in rows]),
        }
        for norm, epsilon in rows[0]
        if all((norm, epsilon) in found for found in rows)
    ]


def _best(rights: list[dict[str, Right]], nets: list[str]) -> dict[str, Any]:
    """Return the paired tests of the l∞ net against every other robust net on the stored set, a seed each."""
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    others = [net for net in nets if net not in (BASELINE, CONTROL, BEST)]
    if BEST not in nets:
        return {}
    return {
        net: [asdict(compare(right[BEST], right[net], generator=generator)) for right in rights]
        for net in others
    }


def _check_data(measured: Mapping[Key, Any], place: tuple[int, str], test_data_sha256: str) -> None:
    seed, net = place
    about = measured[seed, net, "predictions"].provenance
    stored = measured[seed, "", "adversarial_set"].provenance["tensors_sha256"]
    weights = measured[seed, net, "evaluation"]["weights_sha256"]
    made = measured[seed, "", "adversarial_set"].provenance
    baseline = measured[seed, BASELINE, "evaluation"]["weights_sha256"]
    verified = measured.get((seed, net, "verification"), {}).get("weights_sha256", weights)
    evaluated = measured[seed, net, "evaluation"].get("adversarial_set_sha256", stored)
    # those of earlier versions don't say whose they are
    stepped = measured[seed, net, "steps"].get("net_sha256", weights)
    counted = measured.get((seed, "", "single_pixel"), {}).get("net_sha256", baseline)
    for what, one, other in (
        ("test data", about["test_data_sha256"], test_data_sha256),
        ("test data", made["attacked_data_sha256"], test_data_sha256),
        ("adversarial set", about["adversarial_set_sha256"], stored),
        ("adversarial set", evaluated, stored),
        ("net", about["net_sha256"], weights),
        ("net", verified, weights),
        ("net", stepped, weights),
        ("baseline", counted, baseline),
        ("baseline", made["attacked_net_sha256"], baseline),
    ):
        if one != other:
            raise InputError(
                f"{net} of seed {seed} was measured with another {what} than is stored; measure again "
                "with the whole pipeline, or run the experiment of that seed again"
            )


def _check_transfer(measured: Mapping[Key, Any], transfer: Mapping[str, Any]) -> None:
    """Refuse a transfer matrix of other nets than are stored now, those of other experiments left aside."""
    for net, sha256 in transfer.get("net_sha256", {}).items():
        now = measured.get((transfer["seed"], net, "evaluation"), {}).get("weights_sha256", sha256)
        if sha256 != now:
            raise InputError(
                f"transfer was measured with another {net} of seed {transfer['seed']} than is stored; measure again with the whole pipeline"
            )


def _check_alike(
    measured: Mapping[Key, Any], place: tuple[int, str], first: tuple[int, str]
) -> None:
    """Refuse seeds that were measured otherwise than the first: nothing could be averaged over them."""
    for what, one, other in zip(
        ("evaluation.epsilons", "adversarial_set.sets", "verification.brief"),
        _measured_by(measured, *place),
        _measured_by(measured, *first),
        strict=True,
    ):
        if one != other:
            seed, net = place
            raise InputError(
                f"{net} of seed {seed} was measured by other {what} than seed {first[0]}; run the experiments of both seeds with the same parameters"
            )


def _measured_by(measured: Mapping[Key, Any], seed: int, net: str) -> tuple[Any, Any, Any]:
    verification = measured.get((seed, net, "verification"))
    attacked = verification and (
        verification["images"],
        [(row["norm"], row["epsilon"], row["attack"]) for row in verification["measured"]],
    )
    return (
        list(measured[seed, net, "evaluation"]["epsilon_sweep"]),
        measured[seed, "", "adversarial_set"].provenance["sets"],
        attacked,
    )


def _check_training(
    measured: Mapping[Key, Any],
    seeds: list[int],
    nets: list[str],
    settings: Mapping[str, Any],
    *,
    images: int,
) -> None:
    """Refuse nets of an environment or parameters other than the settings': they lie in the same places."""
    asked = images_asked_for(Data(**settings["data"]))[1]
    if images != asked:
        raise InputError(
            f"the stored test data have {images} images, the parameters ask for {asked}; run the experiment again"
        )
    for net in nets:
        for seed in seeds:
            difference = first_difference(
                measured[seed, net, "predictions"].provenance["trained"],
                {**settings, "seed": seed},
                Net(**settings["nets"][net]),
            )
            if difference is not None:
                raise InputError(
                    f"{net} of seed {seed} was trained with {difference}; run the experiment of that seed again"
                )


def _recipe(settings: Mapping[str, Any], net: str) -> dict[str, Any]:
    """Return what a net was trained with, and which seed, counted from the experiment's."""
    asked = Net(**settings["nets"][net])
    recipe = asked_for(settings, asked)
    del recipe["seed"]
    return {**recipe, "seed_offset": asked.seed_offset}
