from __future__ import annotations

import json

import numpy as np
import pytest

from robustify.across_seeds import summarise
from robustify.significance import mcnemar

NETS = ("baseline", "control", "l2")


def rights(counts: dict[str, int], images: int, seed: int) -> dict[str, np.ndarray]:
    """Each net has its own number of images right, at places of its own."""
    generator = np.random.default_rng(seed)
    return {
        net: np.isin(np.arange(images), generator.permutation(images)[:count])
        for net, count in counts.items()
    }


def test_the_summary_says_what_the_counts_say() -> None:
    on_test = [
        rights({"baseline": 900, "control": 905, "l2": 940}, 1000, seed=0),
        rights({"baseline": 910, "control": 900, "l2": 930}, 1000, seed=1),
    ]
    stored = [
        rights({"baseline": 0, "control": 60, "l2": 80}, 100, seed=2),
        rights({"baseline": 0, "control": 50, "l2": 90}, 120, seed=3),
    ]
    # every image twice; then every image once, which changes nothing
    sources = [np.arange(100) % 50, np.arange(120)]
    found = json.loads(json.dumps(summarise([0, 1], on_test, stored, sources)))
    assert found["seeds"] == [0, 1]
    assert found["adversarial_set"]["size"] == [100, 120]
    l2 = found["nets"]["l2"]
    assert l2["test_accuracy"]["values"] == [0.94, 0.93]
    assert l2["test_accuracy"]["std"] == pytest.approx(0.01 / 2**0.5)
    assert l2["adversarial_set_accuracy"]["mean"] == pytest.approx((0.8 + 0.75) / 2)
    tested = found["tests"]["test_set"]["l2"]
    assert tested["versus"] == "baseline"
    assert tested["difference"]["mean"] == pytest.approx(0.03)
    for seed, right in enumerate(on_test):
        only_l2 = int((right["l2"] & ~right["baseline"]).sum())
        only_baseline = int((right["baseline"] & ~right["l2"]).sum())
        assert tested["by_seed"][seed]["p_value"] == mcnemar(only_l2, only_baseline)
    # resampled with the images that both seeds share, against the same mean by brute force
    differences = np.mean(
        [right["l2"].astype(float) - right["baseline"] for right in on_test], axis=0
    )
    generator = np.random.default_rng(9)
    means = [generator.choice(differences, 1000).mean() for _ in range(4000)]
    assert tested["interval"] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.003)
    assert set(found["tests"]["test_set"]) == {"control", "l2"}
    assert set(found["tests"]["adversarial_set"]) == {"l2"}
    assert found["tests"]["adversarial_set"]["l2"]["versus"] == "control"
    assert found["tests"]["adversarial_set"]["l2"]["by_seed"][1]["difference"] == pytest.approx(
        40 / 120
    )
    recovered = found["tests"]["adversarial_set"]["l2"]
    leads = (stored[0]["l2"].astype(int) - stored[0]["control"]).reshape(2, 50).sum(0)
    assert recovered["by_image"][0] == {
        "images": 50,
        "only_first": int((leads > 0).sum()),
        "only_second": int((leads < 0).sum()),
        "p_value": mcnemar(int((leads > 0).sum()), int((leads < 0).sum())),
    }
    for key in ("images", "only_first", "only_second", "p_value"):
        assert recovered["by_image"][1][key] == recovered["by_seed"][1][key]
