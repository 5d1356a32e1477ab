"""What a net's verification found, in words and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from robustify.configuration import ALL_ATTACKS, AUTOATTACK
from robustify.levels import size_label

_LABELS = {
    ALL_ATTACKS: "all of them",
    AUTOATTACK: "AutoAttack",
    "one_step": "one step",
    "fab_t": "FAB-T",
}


def verifications_in(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the verifications of an experiment's nets, by net; none of a net that has none.

    Args:
        results: content of ``results.json``.
    """
    return {
        net: measured["verification"]
        for net, measured in results["nets"].items()
        if "verification" in measured
    }


def statement(verification: Mapping[str, Any]) -> str:
    """Return in one line what survived all attacks: where AutoAttack was run, else in the net's own ball.

    Of a net that has no ball of its own, where least survived.

    Args:
        verification: see :func:`robustify.verification.verify`, with ``uncertainty_set``.
    """
    rows = verification["measured"]
    if not rows:
        return "nothing was measured"
    images = verification["images"]
    chosen = _overall(rows, verification["uncertainty_set"])
    ball = f"{chosen['norm']} {size_label(chosen['epsilon'])}"
    names = [row["attack"] for row in _of_ball(rows, chosen) if row["attack"] != ALL_ATTACKS]
    against = _listed([attack_label(name) for name in names])
    return (
        f"of {images:,} images {100 * chosen['accuracy']:.1f} % survive {against} at {ball} "
        f"({100 * chosen['clean_accuracy']:.1f} % are right without an attack)"
    )


def warning(verification: Mapping[str, Any]) -> str:
    """Return why the net's measurements aren't to be believed, or nothing if no gate failed."""
    failed = verification["failed_gates"]
    return "; ".join(
        f"{gate.replace('_', ' ')}: no – {explanation}" for gate, explanation in failed.items()
    )


def attack_label(name: str) -> str:
    """Return an attack's name as people write it, e.g. ``PGD-20`` for ``pgd_20``."""
    if name in _LABELS:
        return _LABELS[name]
    if name.startswith(("pgd", "apgd")):
        return name.upper().replace("_", "-")
    return name.replace("_", " ")


def attack_columns(verifications: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the attacks of all nets, those that sum up last."""
    names = dict.fromkeys(
        row["attack"] for found in verifications.values() for row in found["measured"]
    )
    last = (AUTOATTACK, ALL_ATTACKS)
    return [name for name in names if name not in last] + [name for name in last if name in names]


def attack_rows(verifications: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a net and ball, by norm and size, with accuracies by attack as shares.

    Keys: ``net``, ``flagged``, ``norm``, ``epsilon``, ``clean``, ``accuracy`` (by attack).
    """
    found = []
    for net, verification in verifications.items():
        for norm, epsilon in sorted(set(map(_ball, verification["measured"]))):
            rows = _of_ball(verification["measured"], {"norm": norm, "epsilon": epsilon})
            found.append(
                {
                    "net": net,
                    "flagged": bool(verification["failed_gates"]),
                    "norm": norm,
                    "epsilon": epsilon,
                    "clean": rows[0]["clean_accuracy"],
                    "accuracy": {row["attack"]: row["accuracy"] for row in rows},
                }
            )
    return found


def _overall(
    rows: Sequence[Mapping[str, Any]], uncertainty_set: Mapping[str, Any]
) -> Mapping[str, Any]:
    overall = [row for row in rows if row["attack"] == ALL_ATTACKS]
    strongest = {_ball(row) for row in rows if row["attack"] == AUTOATTACK}
    own = (uncertainty_set["name"], uncertainty_set.get("radius", 0.0))
    chosen = [row for row in overall if _ball(row) in strongest] or [
        row for row in overall if _ball(row) == own
    ]
    return min(chosen or overall, key=itemgetter("accuracy"))


def _ball(row: Mapping[str, Any]) -> tuple[str, float]:
    return row["norm"], row["epsilon"]


def _of_ball(rows: Sequence[Mapping[str, Any]], ball: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in rows if all(row[key] == ball[key] for key in ("norm", "epsilon"))]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
