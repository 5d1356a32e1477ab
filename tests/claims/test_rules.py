"""Verdicts follow from numbers by the rules on the page."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from robustify.claims.rules import CLAIMS, verdict_of
from robustify.significance import over_seeds

from .stored import cell, decide, lose, paired, put


def test_transfer_to_other_architectures_counts_apart(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    (transfer,) = details["transfers"]
    transfer["architectures"]["linf"] = "fully_connected"
    for row in ("baseline", "control", "l2"):
        transfer["matrix"]["l2"][row]["linf"] = cell(50, 2, 0.5)
    found = {finding.subject: finding.holds for finding in decide("C6", summary, details)}
    assert found == {
        "l2 examples of baseline, control, l2: nets of the same architecture": True,
        # whose examples fool each of the rest as before
        "l2 examples of linf: nets of another architecture": True,
        "l2 examples of baseline, control, l2: nets of another architecture": False,
    }
    assert [finding.measured for finding in decide("C6", summary, details)] == [
        "50 examples a net, tried 6 times; 6 times they fool more often than their originals do; "
        "accuracy on them 60.00 %, on their originals 100.00 %",
        "50 examples a net, tried 3 times; 3 times they fool more often than their originals do; "
        "accuracy on them 60.00 %, on their originals 100.00 %",
        "50 examples a net, tried 3 times; 0 times they fool more often than their originals do; "
        "accuracy on them 96.00 %, on their originals 100.00 %",
    ]


def test_examples_transfer_where_they_do_in_every_seed(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    again = copy.deepcopy(details["transfers"][0])
    details["transfers"].append(again)
    (found,) = decide("C6", summary, details)
    assert found.holds
    assert "tried 24 times; 24 times they fool" in found.measured
    again["matrix"]["l2"]["linf"]["control"] = cell(70, 2, 0.5)
    assert [(finding.subject.partition(":")[0], finding.holds, finding.measured.partition(";")[0]) for finding in decide("C6", summary, details)] == [
        ("l2 examples of baseline, control, l2", True, "50 examples a net, tried 18 times"),
        ("l2 examples of linf", False, "50 to 70 examples a net, tried 6 times"),
    ]  # fmt: skip


def test_all_claims_hold_where_the_numbers_say_so(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    assert [claim.name for claim in CLAIMS] == [f"C{i}" for i in range(1, 8)]
    for claim in CLAIMS:
        assert verdict_of(claim.decide(summary, details)) == "held", claim.name


@pytest.mark.parametrize(
    ("claim", "where", "path", "value", "verdict"),
    [
        # the interval over images reaches 0: more accurate, but not more than chance
        (
            "C1",
            "summary",
            "tests/test_set/l2/interval",
            [-0.001, 0.02],
            "held where decided",
        ),
        # the same mean, but such seeds that another net may be worse
        (
            "C1",
            "summary",
            "nets/l2/test_accuracy",
            over_seeds([0.96, 0.98, 1.0]),
            "held where decided",
        ),
        # the interval below 0 over images, not over seeds
        (
            "C1",
            "summary",
            "tests/test_set/l2/interval",
            [-0.02, -0.001],
            "held where decided",
        ),
        ("C2", "summary", "tests/adversarial_set/l2/by_seed/0/p_value", 0.06, "in part"),
        ("C2", "summary", "tests/adversarial_set/l2/by_seed/0/difference", -0.2, "in part"),
        ("C2", "summary", "tests/adversarial_set/l2/by_image/0/p_value", 0.06, "in part"),
        # significantly worse, counted by image
        ("C2", "summary", "tests/adversarial_set/l2/by_image/0/only_second", 60, "in part"),
        # behind the control, though ahead of the baseline
        ("C3", "details", "nets/l2/fgsm/0.2", over_seeds([0.25]), "in part"),
        ("C4", "details", "nets/linf/curves/seconds", [[30.0] * 3], "in part"),
        ("C4", "details", "nets/linf/curves/test_accuracy", [[0.9, 0.98, 0.99]], "in part"),
        ("C5", "details", "single_pixel/0/flipped", 0, "not held"),
        ("C5", "details", "single_pixel", [], "not measured"),
        ("C6", "details", "transfers/0/matrix/l2/linf/l2", cell(50, 2, 0.5), "in part"),
        # ahead, but by no more than chance; not ahead; ahead by example alone
        ("C7", "details", "best_on_adversarial_set/l2/0/p_value", 0.5, "held where decided"),
        ("C7", "details", "best_on_adversarial_set/l2/0/difference", -0.1, "in part"),
        (
            "C7",
            "details",
            "best_on_adversarial_set/l2/0/by_image",
            {"images": 100, "only_first": 12, "only_second": 8, "p_value": 0.5},
            "held where decided",
        ),
        ("C7", "details", "nets/linf/fgsm/0.1", over_seeds([0.7]), "in part"),
    ],
)
def test_one_number_changes_one_verdict(
    summary: dict[str, Any],
    details: dict[str, Any],
    claim: str,
    where: str,
    path: str,
    value: Any,
    verdict: str,
) -> None:
    put({"summary": summary, "details": details}[where], path, value)
    verdicts = {each.name: verdict_of(each.decide(summary, details)) for each in CLAIMS}
    assert verdicts.pop(claim) == verdict
    assert set(verdicts.values()) == {"held"}


def test_times_that_say_nothing_are_doubted(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    nets = details["nets"]

    def costs() -> dict[str, str]:
        found = [each for each in decide("C4", summary, details) if "cost" in each.subject]
        assert all((each.holds is None) == ("relied on" in each.measured) for each in found)
        return {finding.subject: finding.measured for finding in found if "cost" in finding.subject}

    # one slow epoch of many is no reason
    nets["l2"]["curves"]["seconds"] = [[20.0] * 9 + [90.0]]
    assert not any("relied on" in told for told in costs().values())
    nets["l2"]["curves"]["seconds"] = [[20.0] * 5 + [40.0] * 5]
    told = costs()
    assert (
        "a quarter of l2's epochs took less than 20.0 s, a quarter more than 40.0 s"
        in told["l2: cost"]
    )
    assert "relied on" not in told["linf: cost"]
    nets["baseline"]["curves"]["seconds"] = [[10.0, 30.0, 10.0, 30.0]]
    assert all("relied on" in told for told in costs().values())
    # undecided parts have no say
    assert verdict_of(decide("C4", summary, details)) == "held where decided"
    nets["l2"]["curves"]["seconds"] = nets["baseline"]["curves"]["seconds"] = [[20.0]]
    assert not any("relied on" in told for told in costs().values())


def test_of_two_epochs_the_quartiles_lie_between_them(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    details["nets"]["l2"]["curves"]["seconds"] = [[1.0, 10.0]]
    found = {each.subject: each.measured for each in decide("C4", summary, details)}
    assert "took less than 3.2 s, a quarter more than 7.8 s" in found["l2: cost"]


def test_other_nets_on_points_are_no_standard_nets(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    penalised = copy.deepcopy(details["nets"]["control"])
    penalised["curves"] = {"test_accuracy": [[0.5, 0.6, 0.99]], "seconds": [[60.0] * 3]}
    before = decide("C4", summary, details)
    details["nets"]["jacobian"] = penalised
    assert decide("C4", summary, details) == before


def test_no_step_is_no_attack(summary: dict[str, Any], details: dict[str, Any]) -> None:
    before = {claim: decide(claim, summary, details) for claim in ("C3", "C7")}
    for net, about in details["nets"].items():
        about["fgsm"]["0"] = over_seeds([1.0 if net == "baseline" else 0.9])
    assert {claim: decide(claim, summary, details) for claim in ("C3", "C7")} == before


def test_epochs_count_however_near_is_meant(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    nets = details["nets"]
    for net, curve in {
        "baseline": [0.9, 0.9862, 0.9895, 0.99],
        "control": [0.9, 0.9862, 0.9895, 0.99],
        "l2": [0.9, 0.9862, 0.9895, 0.99],
        # within half a point as soon, within a tenth an epoch later
        "linf": [0.9, 0.9862, 0.9885, 0.99],
    }.items():
        nets[net]["curves"] = {"test_accuracy": [curve], "seconds": [[10.0] * 4]}
    found = {each.subject: each for each in decide("C4", summary, details)}
    assert found["l2: epochs"].holds is True
    assert found["linf: epochs"].holds is False
    assert found["linf: epochs"].measured == (
        "within 0.5 points of its final accuracy after 2.0 epochs, standard nets after 2.0; "
        "within 0.1 points of its final accuracy after 4.0 epochs, standard nets after 3.0"
    )
    nets["control"]["curves"]["test_accuracy"] = [[0.9, 0.92, 0.95, 0.99]]
    found = {each.subject: each for each in decide("C4", summary, details)}
    assert found["linf: epochs"].holds is None
    assert "(of 4, so that it says nothing)" in found["linf: epochs"].measured


@pytest.mark.parametrize(("later", "holds"), [(0, True), (2, True), (3, False)])
def test_a_tenth_of_all_epochs_is_no_later(
    summary: dict[str, Any], details: dict[str, Any], later: int, holds: bool
) -> None:
    for net in details["nets"]:
        before = 10 + later * (net == "linf")
        curve = [0.9] * before + [0.99] * (20 - before)
        details["nets"][net]["curves"] = {"test_accuracy": [curve], "seconds": [[10.0] * 20]}
    found = {each.subject: each.holds for each in decide("C4", summary, details)}
    assert found["linf: epochs"] is holds


def test_a_lead_of_one_seed_is_no_lead(summary: dict[str, Any], details: dict[str, Any]) -> None:
    nets = details["nets"]
    for net in nets:
        for epsilon, accuracy in nets[net]["fgsm"].items():
            nets[net]["fgsm"][epsilon] = over_seeds([accuracy["mean"]] * 2)
    for claim in ("C3", "C7"):
        assert verdict_of(decide(claim, summary, details)) == "held"
    # the means stay ahead of all others; control and l2 are at 0.4 and 0.7, 0.3 and 0.6
    nets["l2"]["fgsm"] = {"0.1": over_seeds([1.0, 0.35]), "0.2": over_seeds([0.9, 0.25])}
    nets["linf"]["fgsm"] = {"0.1": over_seeds([0.95, 0.9]), "0.2": over_seeds([0.8, 0.8])}
    found = {each.subject: each for each in decide("C3", summary, details)}
    assert (found["l2"].holds, found["linf"].holds) == (False, True)
    assert "ahead of both at 2 of 2 ε (in each of the 2 seeds at 0)" in found["l2"].measured
    assert "ahead of both at 2 of 2 ε (in each of the 2 seeds at 2)" in found["linf"].measured
    found = {each.subject: each for each in decide("C7", summary, details)}
    assert found["new attacks"].holds is False
    assert (
        found["new attacks"].measured
        == "ahead of the other robust nets at 2 of 2 ε (in each of the 2 seeds at 0)"
    )


def test_less_than_a_control_of_another_start_cant_be_told(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    def parts() -> dict[str, bool | None]:
        return {each.subject: each.holds for each in decide("C2", summary, details)}

    worse = paired(-0.2, 0.001)
    worse["by_image"][0].update(only_first=10, only_second=40)
    summary["tests"]["adversarial_set"]["l2"] = worse
    of_the_set = summary["nets"]["l2"]["adversarial_set_accuracy"]
    of_the_control = summary["nets"]["control"]["adversarial_set_accuracy"]["mean"]
    of_the_set["mean"] = of_the_control - 0.2
    assert parts() == {"l2": False, "linf": True}
    for net, about in details["nets"].items():
        about["trained"] = {"seed_offset": 1 if net == "control" else 0}
    # against the odds is enough; behind them isn't
    assert parts() == {"l2": None, "linf": True}
    # no more than the control by chance is no less than the control
    of_the_set["mean"] = of_the_control + 0.001
    assert parts() == {"l2": False, "linf": True}
    of_the_set["mean"] = of_the_control - 0.2
    details["nets"]["control"]["trained"]["seed_offset"] = 0
    assert parts() == {"l2": False, "linf": True}
    # nor did a net with a seed of its own begin with the baseline's weights
    details["nets"]["control"]["trained"]["seed_offset"] = 1
    details["nets"]["l2"]["trained"]["seed_offset"] = 2
    assert parts() == {"l2": False, "linf": True}


def test_transfer_says_nothing_of_poor_classifiers(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    (transfer,) = details["transfers"]
    transfer["architectures"]["linf"] = "fully_connected"
    for row in ("baseline", "control", "l2"):
        # the others have all of linf's originals right, it has few of theirs
        transfer["matrix"]["l2"][row]["linf"] = {**cell(50, 2, 0.5), "original_accuracy": 0.4}
    found = {finding.subject: finding.holds for finding in decide("C6", summary, details)}
    assert found == {
        "l2 examples of baseline, control, l2: nets of the same architecture": True,
        "l2 examples of baseline, control, l2, linf: nets of another architecture": None,
    }
    assert verdict_of(decide("C6", summary, details)) == "held where decided"


def test_leads_under_other_steps_are_told_and_the_better_standard_net_counts(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    for net, (small, large) in {
        "baseline": (0.5, 0.2), "control": (0.6, 0.1), "l2": (0.7, 0.15), "linf": (0.55, 0.3),
    }.items():  # fmt: skip
        details["nets"][net]["steps"] = {"l2": {"1": over_seeds([small]), "2": over_seeds([large])}}
    for net, left in {"baseline": 0.2, "control": 0.5, "l2": 0.4, "linf": 0.9}.items():
        details["nets"][net]["attacked"] = [
            {"norm": "linf", "epsilon": 0.1, "images": 200, "accuracy": over_seeds([left])}
        ]
    found = {each.subject: each for each in decide("C3", summary, details)}
    assert "; under l2 steps at 1 of 2 radii;" in found["l2"].measured
    assert "; under l2 steps at 1 of 2 radii;" in found["linf"].measured
    assert "(linf 0.1, 200 images) 40.00 % against 50.00 %" in found["l2"].measured
    # neither is what the rule asks for
    assert found["l2"].holds is True


def test_nothing_holds_where_no_net_does(summary: dict[str, Any], details: dict[str, Any]) -> None:
    for net in ("l2", "linf"):
        lose(summary, net)
    found = decide("C1", summary, details)
    assert verdict_of(found) == "not held"
    # Welch's interval of three against three with the same spread: 4 degrees of freedom, t = 2.776
    assert found[0].measured == (
        "−1.00 against the baseline (95 % interval over images −2.00 to −0.10; McNemar's p by seed: 0.01), "
        "−1.00 against all standard nets (3 against 3, 95 % interval over seeds −1.23 to −0.77)"
    )


def test_a_net_is_measured_against_every_standard_net_once(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    # the controls of seeds 0 and 1 are the baselines of seeds 1 and 2; that of seed 2 is a net of its own
    summary["nets"]["control"]["test_accuracy"] = over_seeds([0.970, 0.971, 0.950])
    for net, offset in {"baseline": 0, "control": 1}.items():
        details["nets"][net]["trained"] = {"seed_offset": offset}
    found = decide("C1", summary, details)[0]
    assert "+1.50 against all standard nets (3 against 4, 95 % interval" in found.measured
    # 0.98 less the mean of 0.969, 0.970, 0.971 and 0.950, whose deviation is 1 point: standard error 0.505, 3.08 degrees of freedom
    assert "over seeds −0.08 to +3.08)" in found.measured
    assert found.holds is None


@pytest.mark.parametrize("lead", [0.01, -0.01])
def test_one_seed_tells_nothing_of_a_way_of_training(
    summary: dict[str, Any], details: dict[str, Any], lead: float
) -> None:
    summary["seeds"] = [0]
    for about in summary["nets"].values():
        about["test_accuracy"] = over_seeds([0.98])
    summary["tests"]["test_set"]["l2"] = paired(lead, 0.01, lead - 0.001, lead + 0.001)
    found = decide("C1", summary, details)[0]
    assert found.holds is None
    assert "(1 against 1, 95 % interval over seeds unknown)" in found.measured


def test_rules_change_nothing_that_they_read(
    summary: dict[str, Any], details: dict[str, Any]
) -> None:
    before = copy.deepcopy((summary, details))
    for claim in CLAIMS:
        claim.decide(summary, details)
    assert (summary, details) == before
