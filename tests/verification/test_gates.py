from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from robustify.attacks import Pgd, robust_accuracy
from robustify.errors import InputError
from robustify.uncertainty import L1Ball, L2Ball, LinfBall, NormBall
from robustify.verdicts import Verdict
from robustify.verification import examine, gates
from robustify.verification.gates import GateError, failures, judge

from ..attacks.conftest import Problem, make_problem
from ..conftest import LinearNet
from ..fakes import (
    BatchDependent,
    Borrowed,
    CoarseProbabilities,
    CoupledFarAway,
    CoupledOffImages,
    Detached,
    ElseAlone,
    Fake,
    Gradientless,
    Misled,
    NotFinite,
    Opposed,
    PartlyDetached,
    Probabilities,
    Reserved,
    Rounding,
    Saturated,
    Shallow,
    Sigmoids,
    SmallLogits,
    SmoothlyRounded,
    Stochastic,
    Tiring,
    TurnedFarAway,
    TurnedSigns,
    Unbytelike,
    Wavy,
)

BALL = LinfBall(radius=0.06)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return make_problem(classes=5, count=60)


@pytest.fixture(scope="module")
def other() -> nn.Module:
    """Another net of the same task: the honest one's weights, a little off."""
    honest = make_problem(classes=5, count=60).net
    torch.manual_seed(1)
    net = LinearNet(36, 5).eval()
    with torch.no_grad():
        net.linear.weight.copy_(honest.linear.weight + 0.2 * net.linear.weight)
        net.linear.bias.copy_(honest.linear.bias)
    return net


def failed(net: nn.Module, problem: Problem, ball: NormBall = BALL, **options) -> dict[str, str]:
    labels = net(problem.x).detach().nan_to_num().argmax(dim=1)
    return failures(examine(net, problem.images, labels, ball, seed=0, **options))


@pytest.mark.parametrize("ball", [BALL, L2Ball(radius=0.25), L1Ball(radius=0.6)])
def test_an_honest_net_passes_every_gate(
    problem: Problem, other: nn.Module, ball: NormBall
) -> None:
    verdicts = examine(problem.net, problem.images, problem.labels, ball, source=other, seed=0)
    assert failures(verdicts) == {}
    assert {verdict.gate for verdict in verdicts} == {
        "outputs_are_logits", "answer_is_deterministic", "batching_changes_nothing",
        "gradients_are_there", "gradients_are_slopes", "gradients_leave_nothing_out", "more_steps_never_help", "larger_epsilon_never_helps",
        "whole_range_reaches_zero", "gradient_beats_noise", "white_box_beats_transfer", "cross_entropy_tells_enough",
        "gradients_break_what_queries_do", "images_are_enough", "source_can_be_attacked",
    }  # fmt: skip
    by_gate = {verdict.gate: verdict.measured for verdict in verdicts}
    # the attacks that the gates compare are attacks: they break what a linear net's closed form says
    robust = float(problem.robust(ball).double().mean())
    white_box = by_gate["white_box_beats_transfer"]["white_box"]
    assert robust - 1e-6 <= white_box <= robust + 0.1
    assert robust < by_gate["gradient_beats_noise"]["noise"]


def test_gradients_that_are_small_are_there_in_every_norm(problem: Problem) -> None:
    steep = LinearNet(36, 5).eval()
    with torch.no_grad():
        lead = problem.net(problem.x).topk(2, dim=1).values
        # a net that is sure of every image: its loss has slopes of about e^-60, whose squares float32 can't hold
        factor = float(60 / (lead[:, 0] - lead[:, 1]).median())
        steep.linear.weight.copy_(factor * problem.net.linear.weight)
        steep.linear.bias.copy_(factor * problem.net.linear.bias)
        labels = steep(problem.x).argmax(dim=1)
    zero = []
    for ball in (BALL, L2Ball(radius=0.25)):
        verdicts = examine(steep, problem.images, labels, ball, seed=0)
        measured = {verdict.gate: verdict.measured for verdict in verdicts}
        zero.append(measured["gradients_are_there"]["share_of_zero_gradients"])
    assert zero[0] == zero[1] < 0.5


@pytest.mark.parametrize(
    ("kind", "gate", "reason"),
    [
        (Rounding, "gradients_are_there", r"zero on 100\.0 %"),
        (Rounding, "white_box_beats_transfer", "examples made on another net"),
        (Saturated, "gradients_are_there", "zero on"),
        (Saturated, "whole_range_reaches_zero", "it should be none"),
        (Detached, "gradients_are_there", r"zero on 100\.0 %"),
        (Gradientless, "gradients_are_there", r"zero on 100\.0 %"),
        (Misled, "gradients_are_slopes", "times as fast along the gradient as it says"),
        (Borrowed, "gradients_leave_nothing_out", "agree with the gradient's by"),
        (PartlyDetached, "gradients_leave_nothing_out", "lacks a part of the pixels"),
        (TurnedSigns, "gradients_leave_nothing_out", "says the opposite of them"),
        (Shallow, "gradients_leave_nothing_out", "agree with the gradient's by"),
        (Tiring, "more_steps_never_help", r"right with 5 steps, .* with 20 steps"),
        (Unbytelike, "gradients_are_there", r"100\.0 % of points next to the images"),
        (Sigmoids, "outputs_are_logits", "last softmax or sigmoid"),
        (CoarseProbabilities, "outputs_are_logits", "gives probabilities"),
        (Wavy, "white_box_beats_transfer", "examples made on another net"),
        (Stochastic, "answer_is_deterministic", "from one pass to the next"),
        (BatchDependent, "batching_changes_nothing", "^the images: .* batched otherwise"),
        (CoupledOffImages, "batching_changes_nothing", "^points next to the images: .* otherwise"),
        (CoupledFarAway, "batching_changes_nothing", "^linf 0.06: noise of its size: .* otherwise"),
        (ElseAlone, "batching_changes_nothing", "^the images: .* batched otherwise"),
        (Probabilities, "outputs_are_logits", "gives probabilities; it must give logits"),
        (NotFinite, "outputs_are_logits", r"isn't finite on \d+ of 60 images"),
    ],
)
def test_a_planted_fake_defence_is_caught(
    problem: Problem, other: nn.Module, kind: type[Fake], gate: str, reason: str
) -> None:
    found = failed(kind(problem.net), problem, source=other)
    assert re.search(reason, found[gate])


def test_images_that_attacks_leave_may_look_like_probabilities(problem: Problem) -> None:
    class Mostly(nn.Module):
        """A softmax on all images but those whose first pixel is black."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = problem.net(x)
            return torch.where(x.flatten(1)[:, :1] < 0.01, logits, logits.softmax(dim=1))

    black = problem.images.flatten(1)[:, 0] == 0
    assert 0 < black.sum() < len(black)
    # only that those left aren't taken for all
    assert "outputs_are_logits" not in failed(Mostly(), problem)


def test_slopes_that_are_true_and_hidden_are_found_by_queries(problem: Problem) -> None:
    found = failed(SmoothlyRounded(problem.net), problem, LinfBall(radius=0.4))
    assert found["gradients_break_what_queries_do"].startswith(
        "linf 0.4: 100 queries an image: queries alone broke"
    )


def test_a_gradient_that_turns_round_where_attacks_go_is_caught(problem: Problem) -> None:
    turned = TurnedFarAway(problem.net, problem.x)
    found = failed(turned, problem, LinfBall(radius=0.15))
    assert found["gradients_leave_nothing_out"].startswith("linf 0.15: in random directions")
    # next to the images it is what it says
    assert "gradients_leave_nothing_out" not in failed(turned, problem, LinfBall(radius=0.01))


def test_logits_too_small_for_the_cross_entropy_are_caught() -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(126, 130, (40, 1, 6, 6), generator=draw, dtype=torch.uint8)
    net = LinearNet(36, 4).eval()
    # with s the sum of all changes the logits are 0, s - 1, and twice -0.6 s - 1, so that an ε of 0.04 flips the first answer by s > 1
    # and not by s = -1.44, where all wrong classes together go
    slopes, middle = torch.tensor([0.0, 1.0, -0.6, -0.6]), 127.5 / 255
    with torch.no_grad():
        net.linear.weight.copy_(slopes[:, None].expand(4, 36))
        net.linear.bias.copy_(torch.tensor([0.0, -1.0, -1.0, -1.0]) - 36 * middle * slopes)
    labels = torch.zeros(40, dtype=torch.int64)
    verdicts = examine(SmallLogits(net).eval(), images, labels, LinfBall(radius=0.04), seed=0)
    verdict = next(each for each in verdicts if each.gate == "cross_entropy_tells_enough")
    assert verdict.measured == {"cross_entropy": 1.0, "targeted": 0.0}
    assert "the logits' scale hides" in failures(verdicts)["cross_entropy_tells_enough"]


def test_of_few_images_no_verdict_is_believed(problem: Problem) -> None:
    few = failures(examine(problem.net, problem.images[:49], problem.labels[:49], BALL, seed=0))
    assert few.keys() == {"images_are_enough"}
    assert "looked at 49 images; on fewer than 50" in few["images_are_enough"]
    assert not failures(examine(problem.net, problem.images[:50], problem.labels[:50], BALL, seed=0))  # fmt: skip


@pytest.mark.parametrize("kind", [Detached, NotFinite])
def test_a_source_without_a_gradient_turns_no_gate_off(
    problem: Problem, other: nn.Module, kind: type[Fake]
) -> None:
    """Its examples are the images themselves, and leave any net as right as it is."""
    found = failed(Wavy(problem.net), problem, source=kind(other))
    assert "is zero or no number on " in found["source_can_be_attacked"]


def test_a_source_of_other_classes_is_refused(problem: Problem) -> None:
    with pytest.raises(InputError, match="source has 4 classes, the net 5"):
        failed(problem.net, problem, source=make_problem(classes=4).net)


def test_another_net_may_be_of_other_numbers(problem: Problem, other: nn.Module) -> None:
    double = make_problem(classes=5, count=60).net.double()
    assert failures(examine(double, problem.images, problem.labels, BALL, source=other, seed=0)) == {}  # fmt: skip


def test_attacks_that_miss_what_weaker_ones_find_are_told() -> None:
    ends = {"attacks": ("apgd_ce", "pgd_20"), "images": 1000}
    assert gates.longer_attacks_break_as_much(0.555, 0.5, **ends).passed
    verdict = gates.longer_attacks_break_as_much(0.556, 0.5, **ends)
    assert not verdict.passed
    assert verdict.explanation.startswith("apgd_ce leaves 55.6 % right, pgd_20 50.0 %")
    assert gates.gradients_break_what_queries_do(25, where="linf 0.1", images=1000).passed
    verdict = gates.gradients_break_what_queries_do(26, where="linf 0.1", images=1000)
    assert not verdict.passed
    assert verdict.explanation.startswith("linf 0.1: queries alone broke 2.6 % of the images")
    assert gates.cross_entropy_tells_enough(0.455, 0.2, images=1000).passed
    assert not gates.cross_entropy_tells_enough(0.456, 0.2, images=1000).passed


def test_a_gradient_that_points_backwards_is_weaker_than_noise(problem: Problem) -> None:
    found = failed(Opposed(problem.net), problem, LinfBall(radius=0.3))
    assert re.search(r"linf 0\.3: PGD leaves .* right, noise", found["gradient_beats_noise"])


def test_a_net_that_answers_only_near_its_data_is_caught(problem: Problem) -> None:
    commonest = int(problem.labels.mode().values)
    found = failed(Reserved(problem.net, problem.x, commonest), problem)
    assert found["larger_epsilon_never_helps"].endswith("with epsilon 1")
    assert "it should be none" in found["whole_range_reaches_zero"]


def test_every_ball_is_attacked(problem: Problem) -> None:
    backwards = Opposed(problem.net)
    small, large = LinfBall(radius=0.001), L2Ball(radius=2.0)
    assert "gradient_beats_noise" not in failed(backwards, problem, small)
    verdicts = examine(backwards, problem.images, problem.labels, small, large, seed=0)
    assert failures(verdicts)["gradient_beats_noise"].startswith("l2 2: ")


def test_half_a_point_is_allowed_and_no_more() -> None:
    allowed = gates.more_steps_never_help({10: 0.5, 20: 0.505}, images=1000)
    assert allowed.passed
    caught = gates.more_steps_never_help({10: 0.5, 50: 0.506, 20: 0.4}, images=1000)
    assert not caught.passed
    assert "20 steps, 50.6 % with 50 steps" in caught.explanation
    assert gates.more_steps_never_help({10: 0.5, 20: 0.52}, images=50).passed, "one image of 50"
    assert not gates.more_steps_never_help({10: 0.5, 20: 0.54}, images=50).passed


def test_a_larger_epsilon_must_not_help() -> None:
    assert gates.larger_epsilon_never_helps({0.1: 0.9, 0.05: 0.95, 1.0: 0.0}, images=1000).passed
    caught = gates.larger_epsilon_never_helps({0.1: 0.9, 0.2: 0.95, 1.0: 0.0}, images=1000)
    assert not caught.passed
    assert caught.explanation.endswith("90.0 % right with epsilon 0.1, 95.0 % with epsilon 0.2")


def test_the_whole_range_must_leave_nothing() -> None:
    assert gates.whole_range_reaches_zero(0.005, epsilon=1.0, images=1000).passed
    assert not gates.whole_range_reaches_zero(0.006, epsilon=1.0, images=1000).passed


def test_slopes_may_differ_fourfold_on_a_quarter_of_the_images() -> None:
    claimed = torch.tensor([1.0, 2.0, -1.0, 1.0, 0.0])
    assert gates.gradients_are_slopes(claimed, torch.tensor([1.0, 7.9, -0.26, 0.0, 3.0])).passed
    caught = gates.gradients_are_slopes(claimed, torch.tensor([1.0, 8.1, -1.0, 0.24, 0.0]))
    assert not caught.passed
    assert caught.explanation.startswith("on 50.0 % of the images")
    assert gates.gradients_are_slopes(torch.zeros(3), torch.ones(3)).passed  # another gate's


def test_slopes_at_random_must_agree_with_the_gradient() -> None:
    """Closed form: of a linear function, the share of the gradient's length that is kept, whatever the images' own steepness."""
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(500, 64, generator=generator)
    gradient *= torch.logspace(-6, 6, 500)[:, None]
    directions = torch.randn(500, 64, 100, generator=generator).sign()
    measured = torch.einsum("np,npd->nd", gradient, directions)
    for kept, passes in ((64, True), (56, True), (40, False), (16, False)):
        claimed = torch.einsum("np,npd->nd", gradient[:, :kept], directions[:, :kept])
        verdict = gates.gradients_leave_nothing_out(claimed, measured)
        assert verdict.measured["agreement"] == pytest.approx((kept / 64) ** 0.5, abs=0.03)
        assert verdict.passed == passes
    assert gates.gradients_leave_nothing_out(-measured, measured).measured[
        "agreement"
    ] == pytest.approx(-1)
    nothing = torch.zeros(3, 4)
    assert gates.gradients_leave_nothing_out(nothing, nothing).passed  # another gate's
    assert not gates.gradients_leave_nothing_out(nothing, torch.ones(3, 4)).passed


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_slopes_that_are_no_numbers_agree_with_nothing(value: float) -> None:
    slopes = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    for rows, passes in ((60, False), (30, False), (1, True)):
        broken = slopes.clone()
        broken[:rows, 0] = value
        # each row counts one, halved between what is claimed and measured where both agree
        agreement = ((60 - rows) / (60 + rows)) ** 0.5
        for claimed, measured in ((broken, slopes), (slopes, broken), (broken, broken)):
            verdict = gates.gradients_leave_nothing_out(claimed, measured)
            assert verdict.measured["agreement"] == pytest.approx(agreement)
            assert verdict.passed == passes


def test_other_nets_and_noise_must_not_be_stronger() -> None:
    assert gates.white_box_beats_transfer(0.5, 0.5, images=1000).passed
    assert not gates.white_box_beats_transfer(0.51, 0.5, images=1000).passed
    assert gates.gradient_beats_noise(0.5, 0.9, images=1000).passed
    assert not gates.gradient_beats_noise(0.9, 0.5, images=1000).passed


def test_points_that_do_not_count_must_be_few() -> None:
    assert gates.points_are_in_the_set(5, attack="PGD", images=1000).passed
    caught = gates.points_are_in_the_set(6, attack="PGD", images=1000)
    assert not caught.passed
    assert caught.explanation.startswith("PGD made 6 points outside")


def test_a_stated_share_of_gradients_may_be_zero() -> None:
    norms = torch.tensor([0.0, torch.nan, 1e-30, 1.0])
    assert not gates.gradients_are_there(norms, largest_share=0.49).passed
    verdict = gates.gradients_are_there(norms, largest_share=0.5)
    assert verdict.passed
    assert verdict.measured["share_of_zero_gradients"] == 0.5


def test_one_bit_of_an_answer_is_enough() -> None:
    logits = torch.tensor([[1.0, 2.0]])
    off = torch.nextafter(logits, torch.tensor(3.0))
    assert gates.answer_is_deterministic([logits, logits.clone()]).passed
    assert not gates.answer_is_deterministic([logits, off]).passed
    assert gates.batching_changes_nothing([logits[0], off[0]]).passed
    assert not gates.batching_changes_nothing([logits[0], 1.01 * logits[0]]).passed


def test_failures_are_raised_or_left_to_the_tables() -> None:
    verdicts = [
        Verdict("first", False, {}, "reason one"),
        Verdict("second", True, {}, "fine"),
        Verdict("first", False, {}, "reason two"),
        Verdict("third", False, {}, "reason three"),
    ]
    assert failures(verdicts) == {"first": "reason one", "third": "reason three"}
    judge(verdicts, title="mnist.l2", on_failure="flag")
    judge(verdicts[1:2], title="mnist.l2", on_failure="raise")
    with pytest.raises(GateError, match=r"mnist\.l2 failed .*first \(reason one\); third"):
        judge(verdicts, title="mnist.l2", on_failure="raise")


def test_small_rises_in_a_row_are_one_large_one() -> None:
    """Each is within half a point of its neighbour; together they are eight tenths."""
    shares = {0.1: 0.500, 0.2: 0.504, 0.3: 0.508}
    verdict = gates.larger_epsilon_never_helps(shares, images=1000)
    assert not verdict.passed
    assert "50.0 % right with epsilon 0.1, 50.8 % with epsilon 0.3" in verdict.explanation
    assert gates.larger_epsilon_never_helps({0.1: 0.5, 0.2: 0.3, 0.3: 0.305}, images=1000).passed


def test_logits_that_hang_on_the_batch_are_caught_though_no_loss_tells(problem: Problem) -> None:
    class Standardised(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = problem.net(x)
            return 1000 * logits / logits.std(dim=0, keepdim=True)

    labels = Standardised()(problem.x).argmax(dim=1)
    verdicts = examine(Standardised(), problem.images, labels, BALL, seed=0)
    assert "batching_changes_nothing" in failures(verdicts)


def test_candidates_may_look_like_probabilities_if_the_images_do_not(problem: Problem) -> None:
    class Near(nn.Module):
        """Logits of one row sum to 1 in [0, 1] where the first pixel is below a tenth."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = problem.net(x)
            return torch.where(x.flatten(1)[:, :1] < 0.1, logits.softmax(dim=1), logits)

    found = robust_accuracy(
        Near(), problem.images, Near()(problem.x).argmax(dim=1), Pgd(steps=3), BALL,
        batch_size=1, seed=0, show_progress=False,
    )  # fmt: skip
    assert 0 <= found.robust_accuracy <= 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_windows_that_tie_on_a_flat_background_are_held_against_no_net(seed: int) -> None:
    """Where a max-pool's window ties, the gradient is one filter's and the slope another's; images of digits are flat for the most part."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.MaxPool2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(648, 5)
    ).eval()
    images = torch.zeros(60, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 10:14, 10:14] = torch.randint(256, (60, 1, 4, 4), dtype=torch.uint8)
    with torch.no_grad():
        labels = net(images.float() / 255).argmax(dim=1)
    verdicts = {verdict.gate: verdict for verdict in examine(net, images, labels, BALL, seed=0)}
    assert verdicts["gradients_leave_nothing_out"].measured["agreement"] > 0.95


def test_nothing_to_compare_is_refused_by_name() -> None:
    logits = torch.zeros(3, 2)
    for compare in (gates.answer_is_deterministic, gates.batching_changes_nothing):
        with pytest.raises(InputError, match="answers holds 1; it must hold at least two"):
            compare([logits])
    for none_or_one in ({}, {10: 0.5}):
        with pytest.raises(InputError, match=r"accuracies holds [01]; it must hold"):
            gates.more_steps_never_help(none_or_one, images=100)
        with pytest.raises(InputError, match=r"accuracies holds [01]; it must hold"):
            gates.larger_epsilon_never_helps(none_or_one, images=100)


def test_an_honest_linear_net_of_many_values_passes_in_l1() -> None:
    # where one value counts for most, more steps on many values at once leave more right
    net = LinearNet(784, 2).eval()
    images = torch.full((100, 1, 28, 28), 128, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    images[:, 0, 0, :4] = torch.randint(0, 256, (100, 4), generator=generator).to(torch.uint8)
    with torch.no_grad():
        net.linear.weight.copy_(torch.stack([torch.zeros(784), torch.full((784,), 0.1)]))
        net.linear.weight[1, 37] = 1.0
        net.linear.bias.zero_()
        net.linear.bias[1] = -net(images.float() / 255)[:, 1].median()
    labels = net(images.float() / 255).argmax(dim=1)
    assert not failed(net, Problem(net, images, labels), L1Ball(radius=0.1))
