from __future__ import annotations

import pytest

from robustify.ingestion import decoders

from .fuzz import BATCH, fuzz, seeds


def test_no_bytes_make_a_parser_fall_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "PNG_BATCH", (1024, BATCH))
    monkeypatch.setattr(decoders, "CIFAR_BATCH", BATCH)
    outcomes = fuzz(3000, seed=1)
    assert sum(outcomes.values()) == 3000
    assert {name.split()[0] for name in outcomes if name.endswith("refused")} == set(seeds())
