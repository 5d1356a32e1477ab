"""Whether measurements are of the same nets, data and settings: of others nothing could be averaged or compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustify.configuration import BASELINE, Data, Net
from robustify.errors import InputError
from robustify.ingestion.specification import images_asked_for
from robustify.recipes import first_difference

Key = tuple[int, str, str]


def require_agreement(
    measured: Mapping[Key, Any],
    settings: Mapping[str, Any],
    *,
    seeds: list[int],
    nets: list[str],
    images: int,
    test_data_sha256: str,
) -> None:
    """Refuse measurements that don't belong together.

    Args:
        measured: by seed, net (empty of what belongs to no net) and kind.
        settings: the experiment's parameters.
        seeds: of the experiment.
        nets: of each seed.
        images: number of test images.
        test_data_sha256: of the test data.

    Raises:
        InputError: naming net, seed and what is another.
    """
    for seed in seeds:
        for net in nets:
            _check_data(measured, (seed, net), test_data_sha256)
            _check_alike(measured, (seed, net), (seeds[0], net))
        _check_transfer(measured, seed, nets, first=seeds[0])
    _check_training(measured, seeds, nets, settings, images=images)


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


def _check_transfer(measured: Mapping[Key, Any], seed: int, nets: list[str], *, first: int) -> None:
    """Refuse a transfer matrix of other nets than are stored now, or one that was made otherwise than the first seed's."""
    transfer, other = (measured[one, "", "transfer"] for one in (seed, first))
    # those of earlier versions don't say whose they are
    tried = transfer.get("net_sha256", {})
    for net in nets:
        if tried.get(net) != measured[seed, net, "evaluation"]["weights_sha256"]:
            raise InputError(
                f"transfer was measured with another {net} of seed {seed} than is stored; measure again with the whole pipeline"
            )
    # nets that no seed has of its own are the same for all
    alike = [
        (
            one["images"],
            one["sets"],
            {net: sha256 for net, sha256 in one["net_sha256"].items() if net not in nets},
        )
        for one in (transfer, other)
    ]
    if alike[0] != alike[1]:
        raise InputError(
            f"transfer of seed {seed} was measured with other across_seeds.transfer or other nets than that of seed {first}; measure again with the whole pipeline"
        )


def _check_alike(
    measured: Mapping[Key, Any], place: tuple[int, str], first: tuple[int, str]
) -> None:
    """Refuse seeds that were measured otherwise than the first: nothing could be averaged over them."""
    for what, one, other in zip(
        ("evaluation.epsilons", "adversarial_set.sets", "across_seeds.steps", "verification.brief"),
        _measured_by(measured, *place),
        _measured_by(measured, *first),
        strict=True,
    ):
        if one != other:
            seed, net = place
            raise InputError(
                f"{net} of seed {seed} was measured by other {what} than seed {first[0]}; run the experiments of both seeds with the same parameters"
            )


def _measured_by(measured: Mapping[Key, Any], seed: int, net: str) -> tuple[Any, ...]:
    verification, steps = measured.get((seed, net, "verification")), measured[seed, net, "steps"]
    attacked = verification and (
        verification["images"],
        verification.get("attacks"),
        [(row["norm"], row["epsilon"], row["attack"]) for row in verification["measured"]],
    )
    return (
        list(measured[seed, net, "evaluation"]["epsilon_sweep"]),
        measured[seed, "", "adversarial_set"].provenance["sets"],
        (steps["images"], {norm: list(radii) for norm, radii in steps["accuracy"].items()}),
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
