"""Gathers what the stored full verifications measured into one file, for the page of results.

Usage: python -m robustify.verified_results
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from click import ClickException

from robustify.checks.parameters import experiments_of
from robustify.configuration import ALL_ATTACKS, AUTOATTACK, Experiment
from robustify.errors import InputError
from robustify.files.atomic import replacing
from robustify.files.stated import read_json
from robustify.loader import CONFIG_LOADER_ARGS, ReadableConfigLoader
from robustify.placement import HOME_SEED, folder_of
from robustify.recipes import first_difference

DATA, CONF = Path("data"), Path("conf")
RESULTS = Path("docs/results/verification.json")
FILE = "full_verification.json"
_ONE_STEP = "one_step"
_QUICK = "quick"
_BALL = ("norm", "epsilon")
_KEYS = {
    "images",
    "measured",
    "attacks",
    "gates",
    "failed_gates",
    "uncertainty_set",
    "weights_sha256",
}
# what the page takes of an entry
_ENTRY = {
    "experiment",
    "net",
    *_BALL,
    "images",
    "clean_accuracy",
    "fgsm_accuracy",
    "pgd_accuracy",
    "autoattack_accuracy",
    "seconds",
    "command",
}

# experiment, environment of settings with a folder of their own (else empty), net
Key = tuple[str, str, str]
Entries = dict[Key, list[dict[str, Any]]]
# the experiments of every configuration
Environments = dict[str, dict[str, Experiment]]


def key_of(entry: Mapping[str, Any]) -> Key:
    """Return which net an entry is of."""
    return entry["experiment"], entry.get("environment", ""), entry["net"]


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
    environments = _environments(conf)
    for (experiment, environment, net), path in sorted(_stored(data, environments)):
        named = _named((experiment, environment, net))
        found = _read(path)
        if found["failed_gates"]:
            flagged.append(f"{named} ({', '.join(found['failed_gates'])})")
        command = _command(experiment, net, found, _that_write(environment, environments))
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
            for norm, epsilon in dict.fromkeys(_ball(row) for row in found["measured"])
        ]
    return entries, flagged, skipped


def _named(key: Key) -> str:
    experiment, environment, net = key
    return f"{experiment}.{net}{f' of conf/{environment}' if environment else ''}"


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


def _that_write(environment: str, environments: Environments) -> Environments:
    """Return what writes into this environment's folder, or, if it is empty, into none of its own."""
    if environment:
        return {environment: environments[environment]}
    return {
        name: {each: one for each, one in experiments.items() if not one.folder}
        for name, experiments in environments.items()
    }


def merge(before: list[dict[str, Any]], measured: Entries) -> list[dict[str, Any]]:
    """Return the entries of a file with those of every measured net in place of its old ones, in a fixed order.

    Args:
        before: the file's entries.
        measured: see :func:`gather`.
    """
    kept = [entry for entry in before if key_of(entry) not in measured]
    fresh = [entry for entries in measured.values() for entry in entries]
    return sorted(kept + fresh, key=lambda entry: (key_of(entry), _ball(entry)))


def _no_smaller(before: list[dict[str, Any]], measured: Entries) -> tuple[Entries, list[str]]:
    """Return what doesn't replace entries of more images, and what does, in words."""
    most: dict[Key, int] = {}
    for entry in before:
        key = key_of(entry)
        most[key] = max(most.get(key, 0), entry.get("images", 0))
    kept, smaller = {}, []
    for key, entries in measured.items():
        images = max((entry["images"] for entry in entries), default=0)
        if images < most.get(key, 0):
            smaller.append(
                f"{_named(key)}: it is of {images:,} images, the stored entries of {most[key]:,}; to replace them, delete them first"
            )
        else:
            kept[key] = entries
    return kept, smaller


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(path)
    try:
        if not found.keys() >= _KEYS:
            raise ValueError("keys are missing")
        if not all(
            {*_BALL, "attack", "accuracy", "clean_accuracy"} <= row.keys()
            for row in found["measured"]
        ):
            raise ValueError("a measurement lacks its norm, epsilon, attack or an accuracy")
        if any(row["accuracy"] is None for row in found["measured"]):
            raise ValueError("a measurement has no accuracy")
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path} isn't a verification: {error}") from error
    return found


def _ball(row: Mapping[str, Any]) -> tuple[str, float]:
    return row["norm"], row["epsilon"]


def _of_ball(found: Mapping[str, Any], norm: str, epsilon: float) -> dict[str, Any]:
    own = [row for row in found["measured"] if _ball(row) == (norm, epsilon)]
    accuracies = {row["attack"]: row["accuracy"] for row in own}
    several = [accuracies[name] for name in _projected_gradient(found) if name in accuracies]
    return {
        "clean_accuracy": own[0]["clean_accuracy"],
        "fgsm_accuracy": accuracies.get(_ONE_STEP),
        "pgd_accuracy": min(several, default=None),
        "autoattack_accuracy": accuracies.get(AUTOATTACK),
        "seconds": round(sum(row.get("seconds", 0.0) for row in own), 1),
    }


def _projected_gradient(found: Mapping[str, Any]) -> list[str]:
    """Return the attacks that are projected gradient of more than one step, whatever they are called."""
    return [
        name
        for name, options in found["attacks"].items()
        if options["name"] == "pgd" and options.get("steps") != 1
    ]


def _after_all(rows: list[dict[str, Any]], norm: str, epsilon: float) -> float:
    """Return what no attack broke; of a single attack there is no summary."""
    accuracies = {row["attack"]: row["accuracy"] for row in rows if _ball(row) == (norm, epsilon)}
    return float(accuracies.get(ALL_ATTACKS, min(accuracies.values())))


def _require_folders(*folders: Path) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder")


def _environments(conf: Path) -> Environments:
    """Return the experiments of every configuration, ``base`` first."""
    names = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
    ordered = ["base", *(name for name in names if name not in ("base", "local"))]
    return {
        name: experiments_of(
            ReadableConfigLoader(str(conf), env=name, **CONFIG_LOADER_ARGS)["parameters"]
        )
        for name in ordered
    }


def _command(
    experiment: str,
    net: str,
    found: Mapping[str, Any],
    environments: Environments,
) -> str | None:
    """Return what makes this verification again, by a configuration as it stands or on another number of images."""
    images: int = found["images"]
    for besides in ("", f" --params={experiment}.verification.full.images={images}"):
        for name, experiments in environments.items():
            if experiment in experiments and _makes(
                experiments[experiment], net, found, images=images if besides else None
            ):
                chosen = "" if name == "base" else f" --env={name}"
                return (
                    f"kedro run --pipeline={experiment}_verification"
                    f" --namespaces={experiment}.{net}_full_verification{chosen}{besides}"
                )
    return None


def _makes(
    experiment: Experiment, net: str, found: Mapping[str, Any], *, images: int | None
) -> bool:
    """Return whether the experiment's full verification of its net is this one, on its own number of images or on those given."""
    from robustify.verification import make_plan

    depth = experiment.verification.full
    if depth is None or net not in experiment.nets:
        return False
    uncertainty_set = experiment.nets[net].uncertainty_set.model_dump()
    plan = make_plan(experiment.verification, depth, net=net, uncertainty_set=uncertainty_set)
    planned = {
        (ball.name, ball.radius, attack)
        for ball in plan.every_ball()
        for attack in plan.attacks_in(ball)
    }
    measured = {(*_ball(row), row["attack"]) for row in found["measured"]}
    asked = images or depth.images
    # an earlier version stored of a net's training no more than its set
    trained = found.get("trained", {"uncertainty_set": found["uncertainty_set"]})
    return (
        first_difference(trained, experiment.model_dump(exclude_unset=True), experiment.nets[net])
        is None
        and found["attacks"] == {name: one.model_dump() for name, one in depth.attacks.items()}
        and min(asked, experiment.data.test_images or asked) == found["images"]
        and planned == {entry for entry in measured if entry[2] != ALL_ATTACKS}
    )


def stored_entries(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file of results; none if there is no file.

    Raises:
        InputError: if it isn't one.
    """
    if not path.is_file():
        return []
    entries = read_json(path)
    try:
        if not isinstance(entries, list):
            raise ValueError("it is something else")
        for entry in entries:
            if lacking := _ENTRY - entry.keys():
                raise ValueError(f"an entry lacks {', '.join(sorted(lacking))}")
            _require_measured(entry)
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} isn't a list of results: {error}") from error
    return list(entries)


def _require_measured(entry: Mapping[str, Any]) -> None:
    if entry["images"] < 1:
        raise ValueError(f"images is {entry['images']} in an entry; it must be >= 1")
    for name, value in entry.items():
        if name.endswith("_accuracy") and value is not None and not 0 <= value <= 1:
            raise ValueError(
                f"{name} is {value} in an entry; it must be a share, from 0 to 1, or null"
            )


def _lines(entries: list[dict[str, Any]]) -> Iterator[str]:
    # an entry a line, so that a change of one shows as one
    yield "[\n" if entries else "["
    yield ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in entries)
    yield "\n]\n" if entries else "]\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, say what it holds and return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data")
    parser.add_argument("--conf", type=Path, default=CONF, help="folder of the configurations")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file to write")
    options = parser.parse_args(arguments)
    try:
        _require_folders(options.data, options.conf)
        measured, flagged, skipped = gather(options.data, options.conf)
        before = stored_entries(options.output)
        measured, smaller = _no_smaller(before, measured)
        entries = merge(before, measured)
        with replacing(options.output) as temporary:
            temporary.write_text("".join(_lines(entries)))
    except (InputError, FileNotFoundError, ClickException) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    for line in skipped + smaller:
        print(f"left out, {line}", file=sys.stderr)  # noqa: T201
    for line in flagged:
        print(f"flagged, it failed sanity gates: {line}", file=sys.stderr)  # noqa: T201
    fresh = sum(map(len, measured.values()))
    print(f"{options.output}: {len(entries)} entries, {fresh} of them from {options.data}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
