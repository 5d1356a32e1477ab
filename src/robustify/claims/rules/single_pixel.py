"""C5: one pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robustify.claims.rules.base import Claim, Finding
from robustify.configuration import BASELINE


def one_pixel_flips(summary: Mapping[str, Any], details: Mapping[str, Any]) -> list[Finding]:
    """C5: test images whose label one pixel flips, against the baseline."""
    counts = details["single_pixel"]
    if not counts:
        return []
    first = counts[0]
    flipped = ", ".join(f"{count['flipped']:,}" for count in counts)
    return [
        Finding(
            BASELINE,
            all(count["flipped"] > 0 for count in counts),
            f"by seed {flipped} of {first['images']:,} test images with the {first['candidates']} most promising "
            f"pixels tried; of the first {first['exhaustive_images']:,}, every pixel tried at either extreme: "
            f"{', '.join(str(count['flipped_of_exhaustive']) for count in counts)} "
            f"(the promising ones: {', '.join(str(count['flipped_of_exhaustive_by_candidates']) for count in counts)})",
        )
    ]


CLAIM = Claim(
    "C5",
    "Changing one pixel can flip a label.",
    "It counts if in every seed at least one test image that the baseline has right is flipped.",
    one_pixel_flips,
)
