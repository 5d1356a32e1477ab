"""Entries of all stored full verifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robustify.configuration import ALL_ATTACKS, AUTOATTACK
from robustify.errors import InputError
from robustify.files.stated import read_json
from robustify.placement import HOME_SEED, folder_of
from robustify.verified_results.commands import (
    Environments,
    command_of,
    environments_of,
    that_write,
)
from robustify.verified_results.entries import BALL, Entries, Key, ball_of, name_of

FILE = "full_verification.json"
_QUICK = "quick"
_KEYS = {
    "images",
    "measured",
    "attacks",
    "gates",
    "failed_gates",
    "uncertainty_set",
    "weights_sha256",
}


def gather(data: Path, conf: Path) -> tuple[Entries, list[str], list[str]]:
    """Return the entries of every net with a stored full verification, the nets that failed a sanity gate, and what is left out.

    An entry a ball: accuracies are shares, null where an attack wasn't run; ``pgd_accuracy`` is the lowest of all PGD
    runs, ``all_attacks_accuracy`` what no attack broke, ``seconds`` the time of the attacks, ``command`` what makes the numbers again, null if no configuration does.
    ``gates`` counts the sanity gates and ``failed_gates`` names those that a net failed: what was measured of it isn't to be believed.
    ``gates_edition`` says how much they ask (:data:`robustify.verification.gates.EDITION`), ``code_sha256`` is that of attacks and gates. ``environment`` is there for nets of settings that have a folder of their own. Of several seeds those of seed 0 count.

    Args:
        data: folder of the project's data.
        conf: folder of the configurations.

    Raises:
        InputError: if a stored verification isn't readable.
    """
    entries: Entries = {}
    flagged: list[str] = []
    skipped: list[str] = []
    environments = environments_of(conf)
    for (experiment, environment, net), path in sorted(_stored(data, environments)):
        named = name_of((experiment, environment, net))
        found = _read(path)
        if found["failed_gates"]:
            flagged.append(f"{named} ({', '.join(found['failed_gates'])})")
        command = command_of(experiment, net, found, that_write(environment, environments))
        if command is not None and f"--env={_QUICK}" in command.split():
            skipped.append(f"{named}: it is of conf/{_QUICK}, a look at the graph")
            continue
        entries[experiment, environment, net] = [
            {
                "experiment": experiment,
                **({"environment": environment} if environment else {}),
                "net": net,
                "norm": norm,
                "epsilon": epsilon,
                "images": found["images"],
                **_of_ball(found, norm, epsilon),
                "command": command,
                "failed_gates": list(found["failed_gates"]),
                "all_attacks_accuracy": _after_all(found["measured"], norm, epsilon),
                "gates": len(found["gates"]),
                "weights_sha256": found["weights_sha256"],
                # earlier versions didn't store them
                **{key: found[key] for key in ("gates_edition", "code_sha256") if key in found},
            }
            for norm, epsilon in dict.fromkeys(ball_of(row) for row in found["measured"])
        ]
    return entries, flagged, skipped


def _stored(data: Path, environments: Environments) -> Iterator[tuple[Key, Path]]:
    """Yield every stored verification of seed 0 and the net that it is of."""
    outputs = data / "07_model_output"
    for path in outputs.glob(f"*/*/{FILE}"):
        yield (path.parts[-3], "", path.parts[-2]), path
    for environment, experiments in environments.items():
        for name, experiment in experiments.items():
            if experiment.folder:
                home = outputs / folder_of(name, HOME_SEED, experiment.folder)
                for path in home.glob(f"*/{FILE}"):
                    yield (name, environment, path.parts[-2]), path


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path)
    try:
        if not found.keys() >= _KEYS:
            raise ValueError("keys are missing")
        if not all(
            {*BALL, "attack", "accuracy", "clean_accuracy"} <= row.keys()
            for row in found["measured"]
        ):
            raise ValueError("a measurement lacks its norm, epsilon, attack or an accuracy")
        if any(row["accuracy"] is None for row in found["measured"]):
            raise ValueError("a measurement has no accuracy")
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path} isn't a verification: {error}") from error
    return found


def _of_ball(found: Mapping[str, Any], norm: str, epsilon: float) -> dict[str, Any]:
    own = [row for row in found["measured"] if ball_of(row) == (norm, epsilon)]
    accuracies = {row["attack"]: row["accuracy"] for row in own}
    one, several = (
        [accuracies[name] for name in _projected_gradient(found, alone) if name in accuracies]
        for alone in (True, False)
    )
    return {
        "clean_accuracy": own[0]["clean_accuracy"],
        "fgsm_accuracy": min(one, default=None),
        "pgd_accuracy": min(several, default=None),
        "autoattack_accuracy": accuracies.get(AUTOATTACK),
        "seconds": round(sum(row.get("seconds", 0.0) for row in own), 1),
    }


def _projected_gradient(found: Mapping[str, Any], alone: bool) -> list[str]:
    """Return the attacks that are one step of projected gradient from the image, or the other ones, whatever they are called."""
    return [
        name
        for name, options in found["attacks"].items()
        if options["name"] == "pgd"
        and (options.get("steps") == 1 and options.get("random_start") is False) == alone
    ]


def _after_all(rows: list[dict[str, Any]], norm: str, epsilon: float) -> float:
    """Return what no attack broke; of a single attack there is no summary."""
    accuracies = {row["attack"]: row["accuracy"] for row in rows if ball_of(row) == (norm, epsilon)}
    return float(accuracies.get(ALL_ATTACKS, min(accuracies.values())))
