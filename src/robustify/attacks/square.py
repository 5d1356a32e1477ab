"""Square Attack: random search over square patches, without gradients.

Andriushchenko et al. (2020), "Square Attack: a query-efficient black-box adversarial attack via
random search"; for l1 the variant of Croce and Hein (2021). Being blind to gradients, it finds
out nets that hide theirs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor, nn

from robustify.attacks.base import Attack, ball_in_box, misclassified, per_image
from robustify.attacks.losses import margin
from robustify.errors import InputError
from robustify.limits import require_at_least
from robustify.uncertainty import L1Ball, LinfBall, NormBall, UncertaintySet, perturbation_norm

# a patch's share of the image is halved after so many queries
_HALVED_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
_TINY = 1e-12


class Square(Attack):
    """Random search that keeps a change of a square patch if it lowers the margin.

    All images of a batch share the places and sizes of the patches.

    Args:
        queries: forward passes an image, at least 1.
        initial_share: share of the image that the first patches cover.

    Raises:
        ValueError: if ``queries`` < 1 or the share isn't in (0, 1].
    """

    name = "square"

    def __init__(self, *, queries: int = 5000, initial_share: float = 0.8) -> None:
        require_at_least(1, queries=queries)
        if not 0 < initial_share <= 1:
            raise InputError(f"initial_share is {initial_share}; it must be in (0, 1]")
        self.queries = queries
        self.initial_share = initial_share

    @torch.no_grad()
    def run(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        uncertainty_set: UncertaintySet,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        found = x.detach().clone()
        standing = (~misclassified(net, x, labels)).nonzero()[:, 0]
        if len(standing) == 0:
            return found
        proposals = _proposals_of(ball_in_box(uncertainty_set), generator)
        clean, best = x[standing], proposals.start(x[standing])
        least, right = _judged(net(best).float(), labels[standing])
        for query in range(self.queries):
            found[standing] = best
            standing, clean, best, least = (kept[right] for kept in (standing, clean, best, least))
            if len(standing) == 0:
                return found
            side = proposals.side(patch_share(query, self.initial_share), x.shape[-2:])
            tried = proposals.change(clean, best, side)
            margins, right = _judged(net(tried).float(), labels[standing])
            # a wrong answer ends the search, so it always counts as lower
            lower = (margins < least) | ~right
            best = torch.where(per_image(lower), tried, best)
            least = torch.where(lower, margins, least)
        found[standing] = best
        return found


def _judged(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    # a tie has no margin, and goes to the class that comes first
    return margin(logits, labels), logits.argmax(dim=1) == labels


def patch_share(query: int, initial: float) -> float:
    """Return the share of the image's area that a patch covers at this query (from 0)."""
    halvings = sum(query > after for after in _HALVED_AFTER)
    return initial * 0.5**halvings


class _Proposals(ABC):
    """Where the search starts and which changes it tries."""

    smallest_side: int

    def __init__(self, ball: NormBall, generator: torch.Generator) -> None:
        self.ball = ball
        self.generator = generator
        self._places = _on_cpu(generator)

    @abstractmethod
    def start(self, x: Tensor) -> Tensor:
        """Return the first points, (N, C, H, W)."""

    @abstractmethod
    def change(self, x: Tensor, best: Tensor, side: int) -> Tensor:
        """Return points that differ from the best ones in a patch of that side."""

    def side(self, share: float, size: torch.Size) -> int:
        height, width = size
        side = max(round(math.sqrt(share * height * width)), self.smallest_side)
        return min(side, height, width)

    def _signs(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        signs = torch.randint(2, shape, generator=self.generator, device=like.device)
        return (2 * signs - 1).to(like.dtype)

    def _window(self, x: Tensor, side: int) -> tuple[slice, slice]:
        # like the authors' code, which leaves out the last row and column
        top, left = (self._below(max(length - side, 1)) for length in x.shape[-2:])
        return slice(top, top + side), slice(left, left + side)

    def _below(self, bound: int) -> int:
        return int(torch.randint(bound, (1,), generator=self._places))


class _Stripes(_Proposals):
    """Changes of l∞ balls: patches of one colour at the ball's surface, begun from stripes."""

    smallest_side = 1

    def start(self, x: Tensor) -> Tensor:
        count, channels, _, width = x.shape
        signs = self._signs((count, channels, 1, width), x)
        return self.ball.project(x + self.ball.radius * signs, x)

    def change(self, x: Tensor, best: Tensor, side: int) -> Tensor:
        rows, columns = self._window(x, side)
        tried = best.clone()
        tried[:, :, rows, columns] += 2 * self.ball.radius * self._signs((x.shape[1], 1, 1), x)
        return self.ball.project(tried, x)


class _Bumps(_Proposals):
    """Changes of l1 and l2 balls: the budget of one window goes to a bump in another."""

    smallest_side = 3
    # the l1 authors stay this far inside their ball, against rounding
    l1_inset = 1e-6

    def __init__(self, ball: NormBall, generator: torch.Generator) -> None:
        super().__init__(ball, generator)
        self.is_l1 = isinstance(ball, L1Ball)
        if self.is_l1:
            self.inner = ball_in_box(ball, scale=1 - self.l1_inset)

    def side(self, share: float, size: torch.Size) -> int:
        height, width = size
        side = max(round(math.sqrt(share * height * width)), self.smallest_side)
        return min(side + (side % 2 == 0), height, width)

    def start(self, x: Tensor) -> Tensor:
        perturbation = torch.zeros_like(x)
        height, width = x.shape[-2:]
        side = max(min(height, width) // 5, 1)
        for rows in _tiles(height, side):
            for columns in _tiles(width, side):
                perturbation[:, :, rows, columns] = self._bump(x, side)
        return self._to_surface(x, perturbation)

    def change(self, x: Tensor, best: Tensor, side: int) -> Tensor:
        perturbation = best - x
        target, source = self._window(x, side), self._window(x, side)
        both = torch.zeros_like(x[0, 0])
        both[target] = both[source] = 1
        moved = perturbation[:, :, *target]
        bump = self._bump(x, side) + moved / (_TINY + self._length(moved))
        bump = bump / (_TINY + self._length(bump)) * self._budget(perturbation, both)
        perturbation[:, :, *source] = 0
        perturbation[:, :, *target] = bump
        return self._to_surface(x, perturbation)

    def _budget(self, perturbation: Tensor, windows: Tensor) -> Tensor:
        """Length that each channel's bump may have: what the windows hold and what is unused."""
        channels = perturbation.shape[1]
        used = per_image(perturbation_norm(self.ball.name, perturbation))
        held = self._length(perturbation * windows)
        if self.is_l1:
            return (self.ball.radius - used).clamp(min=0) + held * channels
        unused = (self.ball.radius**2 - used.square()).clamp(min=0)
        return (unused / channels + held.square()).sqrt()

    def _to_surface(self, x: Tensor, perturbation: Tensor) -> Tensor:
        if self.is_l1:
            return self.inner.project(x + perturbation, x)
        length = per_image(perturbation_norm("l2", perturbation))
        return (x + perturbation * (self.ball.radius / (length + _TINY))).clamp(0, 1)

    def _length(self, window: Tensor) -> Tensor:
        """Norm of each channel of each image, shape (N, C, 1, 1)."""
        order = 1 if self.is_l1 else 2
        length: Tensor = torch.linalg.vector_norm(window, ord=order, dim=(-2, -1), keepdim=True)
        return length

    def _bump(self, x: Tensor, side: int) -> Tensor:
        """One pattern of norm 1 in a random orientation, with a random sign for every channel."""
        pattern = bump(side, 4 if self.is_l1 else 2, 1 if self.is_l1 else 2).to(x)
        if self._below(2):
            pattern = pattern.T
        return pattern * self._signs((*x.shape[:2], 1, 1), x)


def _on_cpu(generator: torch.Generator) -> torch.Generator:
    """Return a generator of numbers that Python needs to know: from a GPU each would have to be waited for."""
    if generator.device.type == "cpu":
        return generator
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    return torch.Generator().manual_seed(int(seed))


@cache
def bump(side: int, decay: int, order: int) -> Tensor:
    """Return a positive hill above a negative one, (side, side), of norm 1.

    Args:
        side: of the square, in pixels.
        decay: power by which a hill falls off with the distance from its middle.
        order: 1 or 2, the norm.
    """
    upper = side // 2
    hills = [_hill(rows, side, decay, order) for rows in (upper, side - upper) if rows]
    signs = (1, -1) if upper else (-1,)
    pattern = torch.cat([sign * hill for sign, hill in zip(signs, hills, strict=True)])
    norm: Tensor = torch.linalg.vector_norm(pattern, ord=order)
    return pattern / norm


def _hill(height: int, width: int, decay: int, order: int) -> Tensor:
    rows = (torch.arange(height) - height // 2).abs()
    columns = (torch.arange(width) - width // 2).abs()
    distance = torch.maximum(rows[:, None], columns)
    rings = max(height, width) // 2 + 1
    # squares of falling weight, one inside the other: a pixel sums those that reach it
    weights = 1 / torch.arange(1, rings + 1, dtype=torch.float32) ** decay
    hill = weights.flip(0).cumsum(0).flip(0)[distance]
    norm: Tensor = torch.linalg.vector_norm(hill, ord=order)
    return hill / norm


def _tiles(length: int, side: int) -> list[slice]:
    count = length // side
    first = (length - count * side) // 2
    edges = range(first, first + (count + 1) * side, side)
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _proposals_of(ball: NormBall, generator: torch.Generator) -> _Proposals:
    kind = _Stripes if isinstance(ball, LinfBall) else _Bumps
    return kind(ball, generator)
