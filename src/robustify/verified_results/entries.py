"""The file that the page of results is made from: an entry a net and ball."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robustify.errors import InputError
from robustify.files.stated import read_json

RESULTS = Path("docs/results/verification.json")
BALL = ("norm", "epsilon")
# what the page takes of an entry
_ENTRY = {
    "experiment",
    "net",
    *BALL,
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


def key_of(entry: Mapping[str, Any]) -> Key:
    """Return which net an entry is of."""
    return entry["experiment"], entry.get("environment", ""), entry["net"]


def name_of(key: Key) -> str:
    """Return the net's name for messages, with its experiment and settings."""
    experiment, environment, net = key
    return f"{experiment}.{net}{f' of conf/{environment}' if environment else ''}"


def ball_of(row: Mapping[str, Any]) -> tuple[str, float]:
    """Return norm and radius of the ball that a row is of."""
    return row["norm"], row["epsilon"]


def merge(before: list[dict[str, Any]], measured: Entries) -> list[dict[str, Any]]:
    """Return the entries of a file with those of every measured net in place of its old ones, in a fixed order.

    Args:
        before: the file's entries.
        measured: see :func:`gather`.
    """
    kept = [entry for entry in before if key_of(entry) not in measured]
    fresh = [entry for entries in measured.values() for entry in entries]
    return sorted(kept + fresh, key=lambda entry: (key_of(entry), ball_of(entry)))


def no_smaller(before: list[dict[str, Any]], measured: Entries) -> tuple[Entries, list[str]]:
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
                f"{name_of(key)}: it is of {images:,} images, the stored entries of {most[key]:,}; to replace them, delete them first"
            )
        else:
            kept[key] = entries
    return kept, smaller


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


def lines_of(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the file's text, an entry a line, so that a change of one shows as one."""
    yield "[\n" if entries else "["
    yield ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in entries)
    yield "\n]\n" if entries else "]\n"
