"""Measures of a net what the sanity gates ask for, on a few images and with a short PGD."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from robustify.answers import (
    BATCH_SIZE,
    device_of,
    dtype_of,
    logits_of,
    pixels,
    require_full_numbers,
    require_tensors,
)
from robustify.attacks import ApgdTargeted, Attack, AutoAttack, Pgd, Square, robust_accuracy
from robustify.attacks.base import ascend, ball_in_box
from robustify.attacks.losses import cross_entropy, margin
from robustify.errors import InputError
from robustify.levels import size_label
from robustify.limits import require_at_least, require_seed, require_share
from robustify.machine.devices import full_precision
from robustify.modes import evaluation_mode
from robustify.uncertainty import NormBall, perturbation_norm, require_radius_in_box
from robustify.validity import (
    labels_are_in_range,
    outputs_are_finite,
    outputs_are_logits,
    pixels_are_in_range,
)
from robustify.verdicts import Verdict
from robustify.verification.gates import (
    answer_is_deterministic,
    batching_changes_nothing,
    cross_entropy_tells_enough,
    gradient_beats_noise,
    gradients_are_slopes,
    gradients_are_there,
    gradients_break_what_queries_do,
    gradients_leave_nothing_out,
    images_are_enough,
    larger_epsilon_never_helps,
    more_steps_never_help,
    source_can_be_attacked,
    white_box_beats_transfer,
    whole_range_reaches_zero,
)

# of the radius; a short attack must be able to cross the ball
_REACH = 2.5
# of the pixel range: how far to each side a slope is measured, and what is left free at the border for it
_WAY, _MARGIN = 1e-3, 0.02
# wrong classes that a targeted attack pulls towards, the likeliest first
_TARGETS = 3
# of the Square Attack, as a multiple of PGD's steps
_QUERIES = 10
# images whose answers are asked for one by one
_ALONE = 5
# in which an image's slope is measured
_RANDOM_DIRECTIONS = 4


def examine(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *balls: NormBall,
    source: nn.Module | None = None,
    steps: int = 10,
    largest_share_of_zero_gradients: float = 0.05,
    batch_size: int = BATCH_SIZE,
    seed: int,
) -> list[Verdict]:
    """Return the verdicts of all gates, or of the first ones only if the net can't be attacked at all.

    Args:
        net: maps images in [0, 1] to logits; its modes and weight gradients stay as they are.
        images: uint8, shape (N, C, H, W), N ≥ 1.
        labels: true classes, int64, shape (N,).
        balls: where attacks are tried, one or more; a net that hides its gradient from one norm may not from another.
        source: another net of the same task, whose examples are tried; without it that gate is left out, and no other notices
            a gradient that is right but leads nowhere, as that of an input to which a fast wave is added.
        steps: of PGD, at least 2; half as many and twice as many are tried, too.
        largest_share_of_zero_gradients: share of the images on which the gradient may be zero.
        batch_size: images a pass.
        seed: of the attacks' starts and of the noise.

    Raises:
        InputError: if there is no ball, images aren't in [0, 1], labels aren't classes of the net, it or the source is of half precision, or
            the source has other classes.
    """
    require_tensors(images=images, labels=labels)
    require_seed(seed)
    if len(images) == 0:
        raise InputError("there are no images to examine; give at least one")
    if not balls:
        raise InputError("there are no balls to attack in; give at least one")
    require_at_least(2, steps=steps)
    require_share(largest_share_of_zero_gradients=largest_share_of_zero_gradients)
    in_box = [ball_in_box(ball) for ball in balls]
    for ball in in_box:
        require_radius_in_box(ball, images[0].numel())
    require_full_numbers(net)
    pixels_are_in_range(images).require()
    logits = logits_of(net, images, batch_size=batch_size)
    valid = outputs_are_logits(logits)
    if not valid.passed:
        return [valid]
    labels_are_in_range(labels, images=len(images), classes=logits.shape[1]).require()
    inspected = _Inspected(net, images, labels, steps, batch_size, seed, classes=logits.shape[1])
    verdicts = [
        valid,
        images_are_enough(len(images)),
        *inspected.steadiness("the images", images),
        *inspected.steadiness("points next to the images", inspected.points_next_to_images()),
        *(
            gradients_are_there(norms, largest_share=largest_share_of_zero_gradients, where=where)
            for where, norms in inspected.gradient_norms()
        ),
        gradients_are_slopes(*inspected.slopes_of_ascent()),
        gradients_leave_nothing_out(*inspected.slopes_at_random()),
    ]
    if source is not None:
        if device_of(source) != device_of(net):
            # the caller's own stays where it is
            source = copy.deepcopy(source).to(device_of(net))
        verdict = inspected.source_verdict(source, largest_share_of_zero_gradients)
        verdicts.append(verdict)
        source = source if verdict.passed else None
    for ball in in_box:
        where = f"{ball.name} {size_label(ball.radius)}"
        verdicts += [
            replace(verdict, explanation=f"{where}: {verdict.explanation}")
            for verdict in inspected.under_attack(ball, source)
        ]
    return verdicts


class _Inspected:
    """One net under examination."""

    def __init__(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        steps: int,
        batch_size: int,
        seed: int,
        classes: int,
    ) -> None:
        self.classes = classes
        self.net = net
        self.images = images
        self.labels = labels.to("cpu", torch.int64)
        self.steps = steps
        self.batch_size = batch_size
        self.seed = seed

    def steadiness(self, where: str, points: Tensor) -> Iterator[Verdict]:
        """Yield whether the net says the same of these points each time, in whatever company."""
        logits, again = (self._logits(points) for _ in range(2))
        reverse = self._logits(points.flip(0)).flip(0)
        # some by themselves, the others in odd little batches
        parts = zip((points[:_ALONE], points[_ALONE:]), (1, 7), strict=True)
        odd = torch.cat([self._logits(part, batch_size=size) for part, size in parts if len(part)])
        for verdict in (
            answer_is_deterministic([logits, again]),
            batching_changes_nothing([logits, odd, reverse]),
        ):
            yield replace(verdict, explanation=f"{where}: {verdict.explanation}")

    def points_next_to_images(self) -> Tensor:
        """Return points off the grid of bytes, shape (N, C, H, W), on the CPU: where attacks go at once."""
        return torch.cat([_inside(x).cpu() for x, _ in self._batches()])

    def _logits(self, points: Tensor, *, batch_size: int | None = None) -> Tensor:
        return logits_of(self.net, points, batch_size=batch_size or self.batch_size)

    def gradient_norms(self) -> Iterator[tuple[str, Tensor]]:
        """Yield where, and the gradients' largest components there, shape (N,): a net may treat bytes unlike what an attack makes of them."""
        for where, points_of in (("the images", _itself), ("points next to the images", _inside)):
            yield where, self._gradient_norms_of(self.net, points_of)

    def _gradient_norms_of(self, net: nn.Module, points_of: Callable[[Tensor], Tensor]) -> Tensor:
        theirs, norms = dtype_of(net), []
        with evaluation_mode(net):
            for x, y in self._batches():
                loss = partial(cross_entropy, labels=y)
                gradient = ascend(net, points_of(x).to(theirs), loss).gradient
                norms.append(perturbation_norm("linf", gradient).cpu())
        return torch.cat(norms)

    def slopes_of_ascent(self) -> tuple[Tensor, Tensor]:
        """Return how fast each image's margin grows along its gradient's signs, shape (N,): as the gradient says, and measured."""
        claimed, measured = [], []
        for inside, gradient, lead in self._margins(self._generator()):
            direction = gradient.sign()
            claimed.append((gradient * direction).flatten(1).sum(dim=1).cpu())
            measured.append(self._slope(lead, inside, direction))
        return torch.cat(claimed), torch.cat(measured)

    def slopes_at_random(self, ball: NormBall | None = None) -> tuple[Tensor, Tensor]:
        """Return how fast each image's margin grows in directions of random signs, shape (N, directions): as the gradient says, and measured.

        Args:
            ball: measure where its noise leads, for there attacks go; next to the images if left out.
        """
        claimed, measured = [], []
        generator = self._generator()
        for inside, gradient, lead in self._margins(generator, ball):
            directions = [_normal(inside, generator).sign() for _ in range(_RANDOM_DIRECTIONS)]
            said = [(gradient * direction).flatten(1).sum(dim=1).cpu() for direction in directions]
            claimed.append(torch.stack(said, dim=1))
            seen = [self._slope(lead, inside, direction) for direction in directions]
            measured.append(torch.stack(seen, dim=1))
        return torch.cat(claimed), torch.cat(measured)

    def _margins(
        self, generator: torch.Generator, ball: NormBall | None = None
    ) -> Iterator[tuple[Tensor, Tensor, Callable[[Tensor], Tensor]]]:
        """Yield points next to the images or in the ball, their margins' gradients, and the margin as a function of logits."""
        for x, y in self._batches():
            if ball is not None:
                x = x + ball.steepest_ascent(_normal(x, generator), x)
            # where an image is flat, a max-pool's windows tie and no gradient is the slope in every direction
            inside = _inside(x) + (_MARGIN - _WAY) * _normal(x, generator).clamp(-1, 1)
            lead = partial(_lead, labels=y)
            yield inside, ascend(self.net, inside, lead).gradient, lead

    @torch.no_grad()
    def _slope(self, lead: Callable[[Tensor], Tensor], inside: Tensor, direction: Tensor) -> Tensor:
        ahead, behind = (lead(self.net(inside + way * direction).float()) for way in (_WAY, -_WAY))
        return ((ahead - behind) / (2 * _WAY)).cpu()

    def source_verdict(self, source: nn.Module, largest_share: float) -> Verdict:
        """Return whether examples can be made on another net."""
        require_full_numbers(source)
        classes = logits_of(source, self.images[:1]).shape[1]
        if classes != self.classes:
            raise InputError(
                f"source has {classes} classes, the net {self.classes}; give a net of the same task"
            )
        norms = self._gradient_norms_of(source, _itself)
        return source_can_be_attacked(norms, largest_share=largest_share)

    def under_attack(self, ball: NormBall, source: nn.Module | None) -> Iterator[Verdict]:
        """Yield the verdicts that take attacks in a ball."""
        count, radius, sized = len(self.images), ball.radius, ball.__class__
        noisy = self._noise(ball)
        yield from self.steadiness("noise of its size", noisy)
        yield gradients_leave_nothing_out(*self.slopes_at_random(ball))
        whole = ball.box_diameter(self.images[0].numel())
        white_box = self._right_under(self._pgd(), ball)
        by_epsilon = {
            epsilon: self._right_under(self._pgd(), sized(radius=epsilon))
            for epsilon in (radius / 2, 2 * radius)
            if epsilon < whole
        }
        by_steps = {
            steps: self._right_under(self._pgd(steps), ball)
            for steps in (max(self.steps // 2, 2), 2 * self.steps)
        }
        longer = self._pgd(2 * self.steps, restarts=2)
        everything = self._right_under(longer, sized(radius=whole))
        yield more_steps_never_help({**by_steps, self.steps: white_box}, images=count)
        ladder = {**by_epsilon, radius: white_box, whole: everything}
        yield larger_epsilon_never_helps(ladder, images=count)
        yield whole_range_reaches_zero(everything, epsilon=whole, images=count)
        # against other attacks it may be as strong as it gets; against noise, starts at random would be noise themselves
        queries = Square(queries=_QUERIES * self.steps)
        in_a_row = self._left_by(AutoAttack([longer, queries]), ball)
        left, strongest = in_a_row[longer.name], _share(in_a_row[longer.name])
        broken = left & ~in_a_row[queries.name]
        if self.classes >= ApgdTargeted.least_classes:
            targeted = ApgdTargeted(steps=2 * self.steps, target_classes=_TARGETS)
            left_by_targeted = self._left_by(targeted, ball)[targeted.name]
            yield cross_entropy_tells_enough(strongest, _share(left_by_targeted), images=count)
            broken &= left_by_targeted
        asked = f"{queries.queries} queries an image"
        yield gradients_break_what_queries_do(int(broken.sum()), where=asked, images=count)
        noise = self._right_on(noisy)
        yield gradient_beats_noise(white_box, noise, images=count)
        if source is not None:
            transfer = self._right_on(self._examples_of(source, ball))
            yield white_box_beats_transfer(strongest, transfer, images=count)

    def _pgd(self, steps: int | None = None, restarts: int = 1, *, stop: bool = True) -> Pgd:
        steps = steps or self.steps
        return Pgd(
            steps=steps,
            restarts=restarts,
            relative_step=min(_REACH / steps, 1.0),
            stop_at_success=stop,
        )

    def _right_under(self, attack: Attack, ball: NormBall) -> float:
        return _share(self._left_by(attack, ball)[attack.name])

    def _left_by(self, attack: Attack, ball: NormBall) -> dict[str, Tensor]:
        """Return which images stay right, bool, shape (N,), after each of the attacks in a row, by their name."""
        found = robust_accuracy(
            self.net,
            self.images,
            self.labels,
            attack,
            ball,
            batch_size=self.batch_size,
            seed=self.seed,
            show_progress=False,
        )
        return found.state.standing

    def _right_on(self, points: Tensor) -> float:
        """Return the share of images that are right both as they are and at these points."""
        return _share(self._right_at(self.images) & self._right_at(points))

    def _right_at(self, points: Tensor) -> Tensor:
        logits = logits_of(self.net, points, batch_size=self.batch_size)
        outputs_are_finite(logits).require()
        return logits.argmax(dim=1) == self.labels

    def _noise(self, ball: NormBall) -> Tensor:
        generator = self._generator()
        return torch.cat(
            [(x + ball.steepest_ascent(_normal(x, generator), x)).cpu() for x, _ in self._batches()]
        )

    def _examples_of(self, source: nn.Module, ball: NormBall) -> Tensor:
        attack = self._pgd(stop=False)
        generator = self._generator()
        theirs = dtype_of(source)
        with evaluation_mode(source), full_precision():
            return torch.cat(
                [
                    attack.run(source, x.to(theirs), y, ball, generator=generator).cpu()
                    for x, y in self._batches()
                ]
            )

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        parts = zip(
            self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True
        )
        with evaluation_mode(self.net), full_precision():
            for x, y in parts:
                yield pixels(x, self.net), y.to(self._device)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self._device).manual_seed(self.seed)

    @property
    def _device(self) -> torch.device:
        return device_of(self.net)


def _share(marked: Tensor) -> float:
    return float(marked.double().mean())


def _lead(logits: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the likeliest wrong class is ahead of the true one, shape (N,)."""
    return -margin(logits, labels)


def _itself(x: Tensor) -> Tensor:
    return x


def _inside(x: Tensor) -> Tensor:
    # off the box's border and off the grid of bytes
    return _MARGIN + (1 - 2 * _MARGIN) * x


def _normal(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
