"""Sanity gates: what must hold of measurements that are to be believed.

Most published defences that fell to later attacks would have failed one of these (Carlini et al.,
2019, "On evaluating adversarial robustness"; Athalye et al., 2018). A gate looks at numbers that were
measured elsewhere and gives a verdict; it runs no net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import replace
from operator import itemgetter
from typing import Literal

import torch
from torch import Tensor

from robustify.errors import InputError
from robustify.verdicts import Verdict

OnFailure = Literal["raise", "flag"]

# of what is asked of a net, raised when more is: a stored verdict says which it is by.
# 2: steady answers where attacks go and of images by themselves; queries in every examined ball. That images are enough and a
# source has a gradient is asked of the examination, and no number
EDITION = 2

# of fewer images, gates let pass what they should catch
FEWEST_IMAGES = 50

# shares that are as good as equal: half a point
HALF_A_POINT = 0.005
# float32 sums taken in another order differ by less
LARGEST_RELATIVE_DIFFERENCE = 1e-3
# a slope measured over a short way is rough where the net bends
SLOPE_FACTOR = 4.0
LARGEST_SHARE_OF_WRONG_SLOPES = 0.25
# agreement of slopes in directions that nobody chose: 1 is all of it; half of the pixels left out leave 0.7 or less
LEAST_AGREEMENT = 0.85
# of the images: what one attack may miss of another's that is no stronger
MISSED = 0.25
MISSED_BY_LONGER = 0.05
MISSED_BY_GRADIENTS = 0.02


class GateError(InputError):
    """A net failed a sanity gate: what was measured of it isn't to be believed."""


def failures(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Return the explanations of the gates that failed, by gate; of several, the first."""
    found: dict[str, str] = {}
    for verdict in verdicts:
        if not verdict.passed:
            found.setdefault(verdict.gate, verdict.explanation)
    return found


def judge(verdicts: Iterable[Verdict], *, title: str, on_failure: OnFailure) -> None:
    """Stop at a failed gate, if failures are to be raised; flagging is left to whoever reports.

    Args:
        verdicts: of the gates.
        title: whom they are about, e.g. ``mnist.l2``.
        on_failure: ``raise`` or ``flag``.

    Raises:
        GateError: naming every gate that failed.
    """
    failed = failures(verdicts)
    if failed and on_failure == "raise":
        reasons = "; ".join(f"{gate} ({explanation})" for gate, explanation in failed.items())
        raise GateError(f"{title} failed sanity gates: {reasons}")


def images_are_enough(images: int) -> Verdict:
    """The other gates looked at so many images that what they find is no chance.

    Of a handful of images, a fast wave added to the input passes them all.

    Args:
        images: that they looked at.
    """
    return Verdict(
        "images_are_enough",
        images >= FEWEST_IMAGES,
        {"images": images, "fewest": FEWEST_IMAGES},
        f"the gates looked at {images} images; on fewer than {FEWEST_IMAGES} they let pass what they should catch",
    )


def source_can_be_attacked(norms: Tensor, *, largest_share: float) -> Verdict:
    """The net whose examples are tried has a gradient to make them by; else they are the images and break nothing.

    Args:
        norms: of each image's loss gradient on that net, shape (N,).
        largest_share: of images whose gradient may be zero, or not finite.
    """
    verdict = gradients_are_there(norms, largest_share=largest_share)
    share = verdict.measured["share_of_zero_gradients"]
    return replace(
        verdict,
        gate="source_can_be_attacked",
        explanation=f"the gradient of the net whose examples are tried is zero or no number on {_per_cent(share)} of the images; "
        f"at most {_per_cent(largest_share)} are allowed: examples made on it say nothing",
    )


def answer_is_deterministic(answers: Sequence[Tensor]) -> Verdict:
    """The net says the same each time it sees the same batch, to the bit.

    Against a net that draws lots, an attack follows one draw and is judged by another.

    Args:
        answers: logits of the same images, two times at least, each (N, K).

    Raises:
        InputError: if there is nothing to compare.
    """
    _require_several("answers", answers)
    largest = max(_largest_difference(answers[0], other) for other in answers[1:])
    return Verdict(
        "answer_is_deterministic",
        largest == 0,
        {"largest_difference": largest},
        f"logits of the same images differ by up to {largest:.3g} from one pass to the next",
    )


def batching_changes_nothing(answers: Sequence[Tensor]) -> Verdict:
    """An image's logits are the same whatever other images share its batch, and so is its loss.

    Args:
        answers: logits of the same images, computed in different batches, two at least, each (N, K).

    Raises:
        InputError: if there is nothing to compare.
    """
    _require_several("answers", answers)
    size = float(answers[0].abs().max()) or 1.0
    largest = max(_largest_difference(answers[0], other) for other in answers[1:]) / size
    return Verdict(
        "batching_changes_nothing",
        largest <= LARGEST_RELATIVE_DIFFERENCE,
        {"largest_relative_difference": largest},
        f"logits differ by up to {largest:.3g} of the largest one when images are batched otherwise",
    )


def gradients_are_there(
    norms: Tensor, *, largest_share: float, where: str = "the images"
) -> Verdict:
    """The loss has a gradient with respect to nearly every image.

    Args:
        norms: of each image's loss gradient, shape (N,).
        largest_share: of images whose gradient may be zero, or not finite.
        where: the gradients were taken.
    """
    share = float((~(norms > 0) | ~norms.isfinite()).double().mean())
    return Verdict(
        "gradients_are_there",
        share <= largest_share,
        {"share_of_zero_gradients": share, "largest_share": largest_share},
        f"the gradient is zero on {_per_cent(share)} of {where}; "
        f"at most {_per_cent(largest_share)} are allowed",
    )


def gradients_are_slopes(claimed: Tensor, measured: Tensor) -> Verdict:
    """Along the gradient, the net's output changes as fast as the gradient says.

    Attacks that follow the gradient of something else are led astray.

    Args:
        claimed: slope of each image's margin along a direction, by its gradient, shape (N,).
        measured: by the outputs at two points close by, shape (N,).
    """
    there = claimed != 0
    ratio = (measured[there] / claimed[there]).nan_to_num(nan=0.0)
    wrong = (ratio < 1 / SLOPE_FACTOR) | (ratio > SLOPE_FACTOR)
    share = float(wrong.double().mean()) if len(wrong) else 0.0
    return Verdict(
        "gradients_are_slopes",
        share <= LARGEST_SHARE_OF_WRONG_SLOPES,
        {"share_of_wrong_slopes": share, "largest_share": LARGEST_SHARE_OF_WRONG_SLOPES},
        f"on {_per_cent(share)} of the images the output changes less than 1/{SLOPE_FACTOR:.0f} or more than {SLOPE_FACTOR:.0f} "
        f"times as fast along the gradient as it says; at most {_per_cent(LARGEST_SHARE_OF_WRONG_SLOPES)} are allowed",
    )


def gradients_leave_nothing_out(claimed: Tensor, measured: Tensor) -> Verdict:
    """In directions that have nothing to do with the gradient, the net's output changes as the gradient says.

    A gradient that lacks some pixels, or has some signs turned, is right about all that it holds and misses the rest.

    Args:
        claimed: slope of each image's margin in several directions, by its gradient, shape (N, directions).
        measured: by the outputs at two points close by, of the same shape.
    """
    claimed, measured = claimed.double(), measured.double()
    # where a slope is no number, nothing agrees
    known = (claimed.isfinite() & measured.isfinite()).all(dim=1, keepdim=True)
    claimed, measured = claimed.where(known, 0), measured.where(known, 1)
    # every image counts alike, however steep its margin is
    size = (claimed.square() + measured.square()).sum(dim=1, keepdim=True).sqrt()
    claimed, measured = ((slopes / size).nan_to_num(nan=0.0) for slopes in (claimed, measured))
    lengths = float((claimed.square().sum() * measured.square().sum()).sqrt())
    nothing_there = not bool(claimed.any()) and not bool(measured.any())
    agreement = float((claimed * measured).sum()) / lengths if lengths else float(nothing_there)
    return Verdict(
        "gradients_leave_nothing_out",
        agreement >= LEAST_AGREEMENT,
        {"agreement": agreement, "least_agreement": LEAST_AGREEMENT},
        f"in random directions the output's slopes agree with the gradient's by {agreement:.3f} (1 is all); at least {LEAST_AGREEMENT} must be: "
        "the gradient lacks a part of the pixels, says the opposite of them, or isn't the slope so near (a net may round its input)",
    )


def more_steps_never_help(accuracies: Mapping[int, float], *, images: int) -> Verdict:
    """More steps of PGD leave no higher accuracy.

    Args:
        accuracies: shares that stay right, by number of steps, all above one; two at least.
        images: number that the shares are of.

    Raises:
        InputError: if there is nothing to compare.
    """
    return _never_rises(
        "more_steps_never_help", accuracies, images, lambda steps: f"{steps:.0f} steps"
    )


def larger_epsilon_never_helps(accuracies: Mapping[float, float], *, images: int) -> Verdict:
    """PGD in a larger ball leaves no higher accuracy.

    Args:
        accuracies: shares that stay right, by epsilon; two at least.
        images: number that the shares are of.

    Raises:
        InputError: if there is nothing to compare.
    """
    return _never_rises(
        "larger_epsilon_never_helps", accuracies, images, lambda epsilon: f"epsilon {epsilon:.6g}"
    )


def whole_range_reaches_zero(accuracy: float, *, epsilon: float, images: int) -> Verdict:
    """PGD in a ball that covers the whole pixel range leaves nothing right.

    Args:
        accuracy: share that stays right.
        epsilon: so large that any image is within reach of any other.
        images: number that the share is of.
    """
    return Verdict(
        "whole_range_reaches_zero",
        accuracy <= _tolerance(images),
        {"epsilon": epsilon, "accuracy": accuracy},
        f"with epsilon {epsilon:.6g}, the whole range, {_per_cent(accuracy)} stay right; it should be none",
    )


def white_box_beats_transfer(white_box: float, transfer: float, *, images: int) -> Verdict:
    """Attacking the net itself leaves no higher accuracy than examples made on another net.

    Args:
        white_box: share that stays right under PGD on the net itself.
        transfer: share that stays right under PGD on another net.
        images: number that the shares are of.
    """
    return Verdict(
        "white_box_beats_transfer",
        white_box <= transfer + _tolerance(images),
        {"white_box": white_box, "transfer": transfer},
        f"PGD on the net itself leaves {_per_cent(white_box)} right, "
        f"examples made on another net {_per_cent(transfer)}",
    )


def gradient_beats_noise(gradient: float, noise: float, *, images: int) -> Verdict:
    """Following the gradient leaves no higher accuracy than noise of the same size.

    Args:
        gradient: share that stays right under PGD.
        noise: share that stays right under random perturbations of the same norm.
        images: number that the shares are of.
    """
    return Verdict(
        "gradient_beats_noise",
        gradient <= noise + _tolerance(images),
        {"gradient": gradient, "noise": noise},
        f"PGD leaves {_per_cent(gradient)} right, noise of the same size {_per_cent(noise)}",
    )


def cross_entropy_tells_enough(cross_entropy: float, targeted: float, *, images: int) -> Verdict:
    """PGD on the cross entropy leaves not much more than a short targeted attack, whose loss no scale of the logits changes.

    Args:
        cross_entropy: share that stays right under PGD that raises the cross entropy.
        targeted: share that stays right under APGD on the targeted difference of logits ratio.
        images: number that the shares are of.
    """
    return Verdict(
        "cross_entropy_tells_enough",
        cross_entropy <= targeted + MISSED + _tolerance(images),
        {"cross_entropy": cross_entropy, "targeted": targeted},
        f"PGD on the cross entropy leaves {_per_cent(cross_entropy)} right, a targeted attack that no scale of the logits changes {_per_cent(targeted)}; it may be "
        f"{_per_cent(MISSED)} more: the logits' scale hides what the cross entropy should see",
    )


def longer_attacks_break_as_much(
    longer: float, shorter: float, *, attacks: tuple[str, str], images: int
) -> Verdict:
    """An attack that adapts its steps, and takes more of them, leaves not much more than PGD.

    Args:
        longer: share that stays right under it.
        shorter: share that stays right under PGD.
        attacks: names of both.
        images: number that the shares are of.
    """
    return Verdict(
        "longer_attacks_break_as_much",
        longer <= shorter + MISSED_BY_LONGER + _tolerance(images),
        {"longer": longer, "shorter": shorter},
        f"{attacks[0]} leaves {_per_cent(longer)} right, {attacks[1]} {_per_cent(shorter)}; it may be {_per_cent(MISSED_BY_LONGER)} more",
    )


def gradients_break_what_queries_do(broken: int, *, where: str, images: int) -> Verdict:
    """An attack that only asks for answers breaks hardly anything that attacks by gradients left (Croce and Hein, 2020).

    Args:
        broken: images that the Square Attack broke after all attacks by gradients.
        where: the ball.
        images: number of images.
    """
    share = broken / images
    return Verdict(
        "gradients_break_what_queries_do",
        share <= MISSED_BY_GRADIENTS + _tolerance(images),
        {"share_broken_by_queries_alone": share},
        f"{where}: queries alone broke {_per_cent(share)} of the images, which no attack by gradients did; at most {_per_cent(MISSED_BY_GRADIENTS)} may be: "
        "the gradient doesn't lead where the net fails",
    )


def points_are_in_the_set(rejected: int, *, attack: str, images: int) -> Verdict:
    """What an attack comes up with lies in ball ∩ box, where it counts.

    Points outside don't count, so an attack that makes many flatters the net.

    Args:
        rejected: number of points outside that the net gets wrong.
        attack: which attack, where.
        images: number of images attacked.
    """
    share = rejected / images
    return Verdict(
        "points_are_in_the_set",
        share <= _tolerance(images),
        {"rejected": rejected, "images": images},
        f"{attack} made {rejected} points outside ball and box of {images} images; they don't count",
    )


def _never_rises(
    gate: str,
    accuracies: Mapping[int, float] | Mapping[float, float],
    images: int,
    name: Callable[[float], str],
) -> Verdict:
    _require_several("accuracies", accuracies)
    ordered = sorted(accuracies.items())
    # small rises in a row are one large one: against the lowest so far, not the neighbour
    rises = [
        (after[1] - before[1], before, after)
        for place, after in enumerate(ordered[1:], start=1)
        for before in [min(ordered[:place], key=itemgetter(1))]
    ]
    rise, before, after = max(rises)
    return Verdict(
        gate,
        rise <= _tolerance(images),
        {f"{key:.6g}": accuracy for key, accuracy in ordered},
        f"PGD leaves {_per_cent(before[1])} right with {name(before[0])}, "
        f"{_per_cent(after[1])} with {name(after[0])}",
    )


def _require_several(name: str, compared: Sized) -> None:
    if len(compared) < 2:
        raise InputError(f"{name} holds {len(compared)}; it must hold at least two, to compare")


def _tolerance(images: int) -> float:
    # of few images a single one is more than half a point
    return max(HALF_A_POINT, 1 / images) + 1e-9


def _largest_difference(one: Tensor, other: Tensor) -> float:
    difference = (one.double() - other.double()).abs().max()
    return float(difference.nan_to_num(nan=torch.inf))


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"
