"""Verification on linear nets, where the exact robust accuracy is known in closed form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tqdm import tqdm

from robustify.attacks import (
    ApgdCrossEntropy,
    ApgdTargeted,
    Attack,
    AutoAttack,
    FabTargeted,
    Pgd,
    Square,
    robust_accuracy,
)
from robustify.configuration import ALL_ATTACKS, Ball, Depth, GateOptions, Verification
from robustify.errors import InputError
from robustify.uncertainty import L2Ball, LinfBall, NormBall, Point
from robustify.verification import Plan, make_plan, survive, verify
from robustify.verification.examination import examine
from robustify.verification.gates import GateError

from ..attacks.conftest import Problem, make_problem
from ..conftest import PROJECT
from ..fakes import NotFinite, Probabilities, Rounding

BALL = LinfBall(radius=0.06)
ONE_STEP = Pgd(steps=1, restarts=1, relative_step=1.0, random_start=False)
ROW = (AutoAttack([ApgdCrossEntropy(steps=5), FabTargeted(steps=5), Square(queries=20)]), BALL)


@pytest.fixture
def problem() -> Problem:
    return make_problem(classes=5)


class Interrupted(Attack):
    """Another attack, but the process dies at its n-th portion."""

    name = "interrupted"

    def __init__(self, attack: Attack, at: int) -> None:
        self._attack, self._at, self.portions = attack, at, 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interrupted)

    def options(self) -> dict[str, str]:
        # the same attack to the state file: how often it has been called isn't part of what it does
        return {"name": self._attack.name}

    def run(self, net, x, labels, uncertainty_set, *, generator):
        self.portions += 1
        if self.portions == self._at:
            raise KeyboardInterrupt
        return self._attack.run(net, x, labels, uncertainty_set, generator=generator)


def test_portions_find_what_is_known_in_closed_form(problem: Problem) -> None:
    attack = AutoAttack([FabTargeted(), Square(queries=50)])
    chosen = (problem.net, problem.images, problem.labels, attack, BALL)
    found = survive(*chosen, batch_size=7, seed=0)
    assert torch.equal(found.survivors, problem.robust(BALL))
    assert found.right == {"clean": 37, **{n: int(m.sum()) for n, m in found.standing.items()}}
    assert len(found) == 40


def test_one_step_is_the_steepest_one(problem: Problem) -> None:
    for ball in (BALL, L2Ball(radius=0.25)):
        chosen = (problem.net, problem.images, problem.labels, ONE_STEP, ball)
        found = survive(*chosen, batch_size=40, seed=0).survivors
        x = problem.x.requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(problem.net(x), problem.labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, [x])
        x = x.detach()
        moved = x + ball.steepest_ascent(gradient, x)
        right = (problem.net(x).argmax(1) == problem.labels) & (
            problem.net(moved).argmax(1) == problem.labels
        )
        assert torch.equal(found, right)


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_killed_attack_goes_on_with_the_portion_it_was_at(
    problem: Problem, tmp_path: Path, at: int
) -> None:
    attack, chosen = Pgd(steps=3, restarts=2), (problem.net, problem.images, problem.labels)
    whole = survive(*chosen, Interrupted(attack, 0), BALL, batch_size=7, seed=3)
    options = {"batch_size": 7, "seed": 3, "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        survive(*chosen, Interrupted(attack, at), BALL, **options)
    rest = Interrupted(attack, 0)
    again = survive(*chosen, rest, BALL, **options)
    assert rest.portions == 6 - (at - 1), "40 images in portions of 7 are six"
    assert again.standing.keys() == whole.standing.keys()
    assert all(torch.equal(again.standing[name], mask) for name, mask in whole.standing.items())
    assert again.rejected == whole.rejected
    idle = Interrupted(attack, 1)
    assert survive(*chosen, idle, BALL, **options).right == whole.right
    assert idle.portions == 0, "what is done isn't done again"


def test_images_whose_turn_has_not_come_are_shown_as_standing(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(tqdm, "set_postfix", lambda bar, **words: said.append(words))
    attack = Pgd(steps=3)
    chosen = (problem.net, problem.images, problem.labels, attack, BALL)
    left = survive(*chosen, batch_size=7, seed=3).survivors
    right = problem.net(problem.images.float() / 255).argmax(dim=1) == problem.labels
    done = [7, 14, 21, 28, 35, 40]
    shown = [words["standing"] for words in said if "attack" in words]
    assert shown == [int(left[:end].sum() + right[end:].sum()) for end in done]
    assert shown[0] > 30


def test_an_attack_of_several_parts_goes_on_with_the_part_it_was_at(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (problem.net, problem.images, problem.labels, *ROW)
    whole = survive(*chosen, batch_size=25, seed=3)
    options = {"batch_size": 25, "seed": 3, "folder": tmp_path}
    run, calls = FabTargeted.run, []

    def dying(self, *arguments, **keywords):
        calls.append("fab_t")
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run(self, *arguments, **keywords)

    monkeypatch.setattr(FabTargeted, "run", dying)
    with pytest.raises(KeyboardInterrupt):
        survive(*chosen, **options)
    forbidden = pytest.MonkeyPatch()
    forbidden.setattr(ApgdCrossEntropy, "run", lambda *a, **k: pytest.fail("it has run already"))
    again = survive(*chosen, **options)
    forbidden.undo()
    assert len(calls) == 3
    assert again.right == whole.right
    assert all(torch.equal(again.standing[name], mask) for name, mask in whole.standing.items())


def test_anything_else_has_a_state_of_its_own(problem: Problem, tmp_path: Path) -> None:
    chosen = [problem.net, problem.images, problem.labels, Pgd(steps=2, restarts=1), BALL]
    survive(*chosen, seed=0, folder=tmp_path)
    for place, other in (
        (0, make_problem(classes=4).net),
        (1, problem.images.flip(0)),
        (3, Pgd(steps=3, restarts=1)),
        (4, LinfBall(radius=0.07)),
    ):
        changed = list(chosen)
        changed[place] = other
        labels = changed[0](changed[1].float() / 255).argmax(1)
        changed[2] = labels
        survive(*changed, seed=0, folder=tmp_path)
    survive(*chosen, seed=1, folder=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 6


def test_nets_that_answer_otherwise_share_no_state(problem: Problem, tmp_path: Path) -> None:
    # the same layers and weights to PyTorch; what differs is an attribute that it doesn't print
    class Rounded(torch.nn.Module):
        def __init__(self, levels: int) -> None:
            super().__init__()
            self.honest, self.levels = problem.net, levels

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.honest(x + ((x * self.levels).round() / self.levels - x).detach())

    chosen = (problem.images, problem.labels, ONE_STEP, BALL)
    # the last two answer alike on bytes
    for levels in (3, 255, 255 * 257):
        fresh = survive(Rounded(levels), *chosen, batch_size=40, seed=3)
        stored = survive(Rounded(levels), *chosen, batch_size=40, seed=3, folder=tmp_path)
        assert torch.equal(fresh.survivors, stored.survivors)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_state_begins_anew(problem: Problem, tmp_path: Path) -> None:
    chosen = (problem.net, problem.images, problem.labels, ONE_STEP, BALL)
    whole = survive(*chosen, seed=0, folder=tmp_path)
    (path,) = tmp_path.glob("*.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert survive(*chosen, seed=0, folder=tmp_path).right == whole.right


def test_another_attacks_state_begins_anew(problem: Problem, tmp_path: Path) -> None:
    images, labels = problem.images, problem.labels
    survive(problem.net, images, labels, ONE_STEP, LinfBall(radius=1e-6), seed=0, folder=tmp_path)
    (weak,) = tmp_path.glob("*.safetensors")
    whole = survive(problem.net, images, labels, ONE_STEP, BALL, seed=0, folder=tmp_path)
    (strong,) = {*tmp_path.glob("*.safetensors")} - {weak}
    strong.write_bytes(weak.read_bytes())
    again = survive(problem.net, images, labels, ONE_STEP, BALL, seed=0, folder=tmp_path)
    assert again.right == whole.right
    assert strong.read_bytes() != weak.read_bytes()


def plan(**options) -> Plan:
    defaults = {
        "balls": (LinfBall(radius=0.03), BALL),
        "attacks": {"one_step": ONE_STEP, "pgd_5": Pgd(steps=5, restarts=1, relative_step=0.5)},
        "examined_images": 50,
    }
    return Plan(**{**defaults, **options})


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("on_failure", "Raise", "on_failure is 'Raise'; known: raise, flag"),
        ("images", -5, "images is -5; it must be a whole number, at least 1"),
        ("images", 2.5, "images is 2.5; it must be a whole number"),
        ("examined_images", 0, "examined_images is 0"),
        ("examined_steps", 1, "examined_steps is 1; it must be a whole number, at least 2"),
        ("attacks", {}, "attacks is empty; give at least one"),
        ("attacks", {"autoattack": ONE_STEP}, "'autoattack'; give its balls as autoattack instead"),
        ("attacks", {"pgd": "pgd"}, r"attacks\['pgd'\] is 'pgd'; it must be an attack"),
        ("balls", ("linf",), "balls hold 'linf'; they must be norm balls"),
        ("examined", (Point(),), "examined hold .*; they must be norm balls"),
        ("largest_share_of_zero_gradients", float("nan"), r"is nan; it must be in \[0, 1\]"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(option: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plan(**{option: value})


def test_every_attack_of_every_ball_is_measured_by_itself(problem: Problem) -> None:
    found = verify(
        problem.net, problem.images, problem.labels, plan(autoattack=(BALL,), images=30), seed=0
    )
    assert json.loads(json.dumps(found)) == found
    assert found["images"] == 30
    assert found["failed_gates"].keys() == {"images_are_enough"}, (
        "30 are few, and nothing else is wrong"
    )
    table = {(row["epsilon"], row["attack"]): row for row in found["measured"]}
    names = ["one_step", "pgd_5"]
    assert list(table) == [
        *((0.03, name) for name in [*names, ALL_ATTACKS]),
        *((0.06, name) for name in [*names, "autoattack", ALL_ATTACKS]),
    ]
    clean = (problem.net(problem.x).argmax(1) == problem.labels)[:30]
    assert found["clean_accuracy"] == pytest.approx(float(clean.double().mean()))
    # nothing is stronger than the exact robust accuracy, which AutoAttack reaches on a linear net
    exact = float(problem.robust(BALL)[:30].double().mean())
    assert table[0.06, "autoattack"]["accuracy"] == pytest.approx(exact)
    assert table[0.06, ALL_ATTACKS]["accuracy"] == pytest.approx(exact)
    assert table[0.06, "autoattack"]["right"]["clean"] == int(clean.sum())
    alone = robust_accuracy(
        problem.net,
        problem.images[:30],
        problem.labels[:30],
        ONE_STEP,
        BALL,
        batch_size=30,
        seed=0,
    )
    assert table[0.06, "one_step"]["accuracy"] == alone.robust_accuracy


def test_a_failed_gate_flags_or_raises() -> None:
    problem = make_problem(classes=5, count=50)
    fake = Rounding(problem.net)
    labels = fake(problem.x).argmax(1)
    found = verify(fake, problem.images, labels, plan(), seed=0)
    assert "gradients_are_there" in found["failed_gates"]
    assert found["measured"], "what was measured is shown, and flagged"
    with pytest.raises(GateError, match=r"mnist\.fake failed sanity gates: gradients_are_there"):
        verify(fake, problem.images, labels, plan(on_failure="raise"), seed=0, title="mnist.fake")


def test_attacks_that_find_less_than_weaker_ones_flag_the_net(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = make_problem(classes=5, count=50)
    strong = plan(attacks={"pgd_20": Pgd(steps=20), "apgd_ce": ApgdCrossEntropy()})
    through = plan(attacks={}, balls=(), autoattack=(BALL,))
    for honest in (strong, through):
        found = verify(problem.net, problem.images, problem.labels, honest, seed=0)
        assert found["failed_gates"] == {}
    gates = {verdict["gate"] for verdict in found["gates"]}
    assert "gradients_break_what_queries_do" in gates
    # by itself it says nothing of gradients
    alone = plan(attacks={"square": Square(queries=100)})
    found = verify(problem.net, problem.images, problem.labels, alone, seed=0)
    assert found["failed_gates"] == {}

    def nothing(self, net, x, labels, uncertainty_set, *, generator):
        return x.clone()

    # as on a net whose gradient gives out before the last part, which asks for answers alone
    for kind in (ApgdCrossEntropy, ApgdTargeted, FabTargeted):
        monkeypatch.setattr(kind, "run", nothing)
    found = verify(problem.net, problem.images, problem.labels, strong, seed=0)
    assert found["failed_gates"]["longer_attacks_break_as_much"].startswith("apgd_ce leaves")
    found = verify(problem.net, problem.images, problem.labels, through, seed=0)
    right = found["measured"][0]["right"]
    share = (right["clean"] - right["square"]) / len(problem.images)
    assert (
        f"linf 0.06: queries alone broke {100 * share:.1f} % of the images"
        in found["failed_gates"]["gradients_break_what_queries_do"]
    )


def test_too_few_classes_are_told_before_any_attack(monkeypatch: pytest.MonkeyPatch) -> None:
    small = make_problem(classes=3)
    monkeypatch.setattr(Pgd, "run", lambda *_, **__: pytest.fail("an attack has run"))
    with pytest.raises(InputError, match="apgd_t needs at least 4 classes; the net has 3"):
        verify(small.net, small.images, small.labels, plan(autoattack=(BALL,)), seed=0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_nets_of_half_precision_are_refused(kind: torch.dtype) -> None:
    half = make_problem(classes=5)
    net = half.net.to(kind)
    with pytest.raises(InputError, match=rf"the net's numbers are {kind}.*net\.float\(\)"):
        robust_accuracy(net, half.images, half.labels, ONE_STEP, BALL, seed=0)
    with pytest.raises(InputError, match=rf"the net's numbers are {kind}"):
        verify(net, half.images, half.labels, plan(), seed=0)


def test_a_net_that_cannot_be_attacked_is_flagged_without_numbers(problem: Problem) -> None:
    found = verify(Probabilities(problem.net), problem.images, problem.labels, plan(), seed=0)
    assert list(found["failed_gates"]) == ["outputs_are_logits"]
    assert found["measured"] == []
    assert found["clean_accuracy"] is None


def test_bad_input_is_refused_by_name_at_every_door(problem: Problem) -> None:
    net, images, labels = problem.net, problem.images, problem.labels
    bright = problem.x * 2
    doors = (
        lambda *chosen: robust_accuracy(*chosen, ONE_STEP, BALL, seed=0),
        lambda *chosen: survive(*chosen, ONE_STEP, BALL, seed=0),
        lambda *chosen: verify(*chosen, plan(), seed=0),
    )
    for door in doors:
        for chosen, words in (
            (
                (net, bright, labels),
                r"images reach from 0 to 2; they must be uint8, or floats in \[0, 1\]",
            ),
            ((net, images, labels + 3), "labels reach from"),
            ((net, images, labels[:39]), r"labels are torch\.int64 of shape \(39,\)"),
            ((net, images[1:], labels), r"labels are torch\.int64 of shape \(40,\)"),
            ((net, images[:0], labels[:0]), "empty"),
        ):
            with pytest.raises(InputError, match=words):
                door(*chosen)
    for fake, words in ((NotFinite(net), "isn't finite"), (Probabilities(net), "probabilities")):
        for door in doors[:2]:
            with pytest.raises(InputError, match=words):
                door(fake, images, labels)


@pytest.mark.parametrize(
    "wrong", [lambda y: y.index_fill(0, torch.tensor([39]), 9), lambda y: y.repeat(2)]
)
def test_a_bad_label_is_found_before_any_attack(problem: Problem, wrong: Callable) -> None:
    class Unwanted(Pgd):
        def run(self, *_: object, **__: object) -> torch.Tensor:
            raise AssertionError("an attack began")

    attack = Unwanted(steps=1, restarts=1, relative_step=1.0)
    labels = wrong(problem.labels)
    with pytest.raises(InputError, match="labels"):
        survive(problem.net, problem.images, labels, attack, BALL, batch_size=10, seed=0)
    with pytest.raises(InputError, match="batch_size is 0"):
        survive(problem.net, problem.images, problem.labels, attack, BALL, batch_size=0, seed=0)


def test_gates_take_two_steps_at_least(problem: Problem) -> None:
    with pytest.raises(InputError, match="steps is 1; it must be a whole number, at least 2"):
        examine(problem.net, problem.images, problem.labels, BALL, steps=1, seed=0)


def test_the_plan_of_a_net() -> None:
    depth = Depth(
        images=20,
        norms={"linf": [0.1, 0.2], "l2": [1.2]},
        attacks={"quick": {"name": "pgd", "steps": 3}},
        autoattack={"l2": Ball(norm="linf", epsilon=0.3)},
        gates=GateOptions(images=10, steps=4),
    )
    verification = Verification(brief=depth, on_failure="raise")

    def balls(found: list[NormBall] | tuple[NormBall, ...]) -> list[tuple[str, float]]:
        return [(ball.name, ball.radius) for ball in found]

    own = {"name": "l2", "radius": 1.2, "step": "unclipped"}
    made = make_plan(verification, depth, net="l2", uncertainty_set=own)
    assert balls(made.balls) == [("l2", 1.2), ("linf", 0.1), ("linf", 0.2)]
    assert balls(made.every_ball())[-1] == ("linf", 0.3)
    assert list(made.attacks_in(made.every_ball()[-1])) == ["autoattack"]
    assert list(made.attacks_in(made.balls[0])) == ["quick"]
    assert balls(made.examined) == [("l2", 1.2), ("linf", 0.3)]
    assert made.on_failure == "raise"
    plain = make_plan(verification, depth, net="baseline", uncertainty_set={"name": "point"})
    assert balls(plain.every_ball()) == [("linf", 0.1), ("linf", 0.2), ("l2", 1.2)]
    assert balls(plain.examined) == [("linf", 0.2), ("l2", 1.2)]
    with pytest.raises(InputError, match="nothing to verify"):
        Plan(balls=(), attacks={})


def test_the_published_attacks_are_the_default() -> None:
    made = make_plan(
        Verification(),
        Depth(norms={"linf": [0.1]}),
        net="baseline",
        uncertainty_set={"name": "point"},
    )
    pgd = {name: attack for name, attack in made.attacks.items() if isinstance(attack, Pgd)}
    assert {name: (attack.steps, attack.restarts) for name, attack in pgd.items()} == {
        "one_step": (1, 1), "pgd_20": (20, 5), "pgd_50": (50, 5),
    }  # fmt: skip
    assert isinstance(made.attacks["apgd_ce"], ApgdCrossEntropy)
    assert made.images == 1000


class Trap(torch.nn.Module):
    """Gives no numbers off the grid of bytes, so only where an attack leads."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        off = ((x * 255 - (x * 255).round()).abs() > 1e-3).flatten(1).any(dim=1, keepdim=True)
        return self.net(x).masked_fill(off, torch.nan)


def test_a_net_without_numbers_at_attacked_points_is_flagged_or_raises(problem: Problem) -> None:
    chosen = (Trap(problem.net), problem.images, problem.labels)
    found = verify(*chosen, plan(), seed=0)
    assert set(found["failed_gates"]) == {"outputs_are_finite"}
    assert "isn't finite on" in found["failed_gates"]["outputs_are_finite"]
    assert found["measured"] == []
    with pytest.raises(GateError, match="outputs_are_finite"):
        verify(*chosen, plan(on_failure="raise"), seed=0)


class FarTrap(Trap):
    """Gives no numbers far from its images, so only where noise of a ball's full size leads."""

    def __init__(self, net: torch.nn.Module, images: torch.Tensor) -> None:
        super().__init__(net)
        self.images = images.flatten(1).float() / 255

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distance = torch.cdist(x.flatten(1), self.images, p=torch.inf).amin(dim=1, keepdim=True)
        return self.net(x).masked_fill(distance > 0.059, torch.nan)


def test_a_net_without_numbers_at_noise_is_flagged_too(problem: Problem) -> None:
    trap = FarTrap(problem.net, problem.images)
    found = verify(trap, problem.images, problem.labels, plan(examined=(BALL,)), seed=0)
    assert "outputs_are_finite" in found["failed_gates"]
    assert found["measured"] == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_equally_many_steps_the_strongest_counts(
    problem: Problem, order: tuple[int, int]
) -> None:
    # a step of a tenth of the radius leaves what ten of a whole one break; in whatever order they are named
    both = [("short", Pgd(steps=10, relative_step=0.1)), ("long", Pgd(steps=10, relative_step=1.0))]
    attacks = dict([both[i] for i in order] + [("longer", Pgd(steps=20, relative_step=0.5))])
    found = verify(problem.net, problem.images, problem.labels, plan(attacks=attacks), seed=0)
    left = {row["attack"]: row["accuracy"] for row in found["measured"] if row["epsilon"] == 0.06}
    said = [gate for gate in found["gates"] if gate["gate"] == "more_steps_never_help"][-1]
    assert said["measured"] == {"10": min(left["short"], left["long"]), "20": left["longer"]}


def test_the_page_on_gates_names_every_one_that_is_asked(problem: Problem) -> None:
    page = (PROJECT / "docs/sanity_gates.md").read_text()
    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]
    named = {gate for row in rows for gate in re.findall(r"`(\w+)`", row)}
    attacks = {"pgd": Pgd(steps=2), "longer": Pgd(steps=5), "apgd": ApgdCrossEntropy(steps=10)}
    asked = set()
    for net in (problem.net, FarTrap(problem.net, problem.images)):
        found = verify(
            net,
            problem.images,
            problem.labels,
            plan(attacks=attacks),
            source=make_problem(classes=5).net,
            seed=0,
        )
        asked |= {gate["gate"] for gate in found["gates"]}
    assert asked == named
