"""Szegedy's attack (Eq. 1): the smallest l2 perturbation inside the pixel box that flips a label.

For one image and one wrong class y', box-constrained L-BFGS minimises c·‖Δ‖₂ + J(x + Δ, y') over
x + Δ in [0, 1], and c is searched for the largest value, hence the smallest Δ, at which the label
still flips (Szegedy et al., 2014). Minima jump with c where J is curved, past the border: so the best
Δ is shortened along its own direction until the label is about to flip back.

Every image has a solver of its own (SciPy's L-BFGS-B); only the net's passes are shared between
them. A batch of another size changes the last bits of their float32 sums, which the iterations and
the search over c amplify: norms of sixteen MNIST images, attacked together and one by one, differed
by up to 0.3 %.

Of the logits only what tells classes apart counts: J is taken of logits whose spread over the classes of the clean image is
at least one, multiplied where it is less (a softmax of tiny logits is flat to the last bit, and no c would flip the label).
Classes that a net has switched off, by logits far below all others, have no part in that spread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import Bounds, minimize
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from robustify.answers import device_of, pixels, require_tensors
from robustify.errors import InputError
from robustify.gradients import gradient_of
from robustify.limits import require_at_least
from robustify.machine.devices import full_precision
from robustify.measurement.accuracies import predict
from robustify.measurement.lockstep import in_lockstep
from robustify.modes import evaluation_mode
from robustify.validity import checked_logits, outputs_are_finite

Array = npt.NDArray[Any]

# a lead, relative to the spread of the clean image's logits: the nearest flips are near-ties, which could fall the other way
# in another batch or library
TIE = 1e-4
# and at least so many of the spacings between floating-point numbers of the two logits' size
_SPACINGS = 4
# a class so many times as far below the likeliest as the runner-up is has no part in the spread
_SWITCHED_OFF = 100.0
# what is smaller counts as no spread at all: float32 holds its inverse, and that of logits a million times larger elsewhere
_LEAST_SPREAD = 1e-30
# from one trial value of c to the next while no label flips
_SHRINK = 4.0
_STEPS_TO_FLIP = 12
# halvings of the way back to the border: to a thousandth of the perturbation
_STEPS_TO_BORDER = 10


@dataclass(frozen=True)
class SmallestPerturbations:
    """What Szegedy's attack found for each of N images.

    Attributes:
        images: perturbed, float in [0, 1], shape (N, C, H, W); the clean image where none was found.
        found: whether the label flips, bool, shape (N,).
        c: weight of the norm at which its direction was found, float64, shape (N,); infinite where the net
            is wrong about the clean image already, NaN where nothing was found.
        norm: l2 norm of the perturbation in pixel units of the [0, 1] scale, float64, shape (N,);
            NaN where nothing was found.
    """

    images: Tensor
    found: Tensor
    c: Tensor
    norm: Tensor


def smallest_perturbations(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    candidates: int | None = None,
    search_steps: int = 10,
    iterations: int = 50,
    batch_size: int = 128,
) -> SmallestPerturbations:
    """Look for each image's smallest perturbation that flips its label, by Eq. 1.

    Args:
        net: maps images in [0, 1] to logits; its modes and weight gradients stay as they are.
        images: uint8 or float in [0, 1], shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        targets: class y' that each image is to be taken for, int64, shape (N,). If left out the
            attack is untargeted: the smallest perturbation over several y' counts, whatever
            wrong class it ends in.
        candidates: number of likeliest wrong classes that an untargeted attack tries; all if left out.
        search_steps: bisections of log c once it is bracketed.
        iterations: of L-BFGS for each c.
        batch_size: pairs of image and y' whose solvers run side by side.

    Raises:
        ValueError: if a count is below 1, there are no images, a target isn't a wrong class of the net, or net, images or
            labels can't be attacked (see :func:`robustify.validity.checked_logits`), or the net's answers aren't finite on the way.
    """
    require_at_least(1, search_steps=search_steps, iterations=iterations, batch_size=batch_size)
    require_at_least(1, candidates=1 if candidates is None else candidates)
    if targets is not None:
        require_tensors(targets=targets)
    if len(images) == 0:
        raise InputError("there are no images to perturb")
    logits = checked_logits(net, images, labels, batch_size=batch_size)
    if logits.shape[1] < 2:
        raise InputError(f"the net has {logits.shape[1]} class; there must be another to flip to")
    device = device_of(net)
    x = pixels(images, net).detach().contiguous()
    y = labels.to(device, torch.int64)
    with evaluation_mode(net), full_precision():
        pairs = _wrong_classes(net, x, y, targets, candidates, batch_size)
        owner = torch.arange(len(x), device=device).repeat_interleave(pairs.shape[1])
        wanted = pairs.flatten()
        spreads = _spreads(logits).to(device)
        solved: list[_Solution] = []
        for chosen in tqdm(
            torch.arange(len(owner), device=device).split(batch_size),
            desc="Szegedy's attack",
            unit="batch",
            disable=len(owner) <= batch_size,
        ):
            passes = _Passes(
                net,
                x[owner[chosen]],
                y[owner[chosen]],
                wanted[chosen],
                spreads[owner[chosen]],
                targets is not None,
            )
            solved += in_lockstep(
                [
                    partial(_search, clean=clean, search_steps=search_steps, iterations=iterations)
                    for clean in passes.flat
                ],
                passes,
            )
    return _smallest(net, x, y, targets, solved, pairs.shape[1], batch_size)


@dataclass(frozen=True)
class _Value:
    """Loss J(x + Δ, y'), its gradient, and whether the label has flipped at x + Δ."""

    loss: float
    gradient: Array
    flipped: bool


@dataclass(frozen=True)
class _Solution:
    """A point whose label flips, the c it was found at, and its distance from x."""

    point: Array
    c: float
    norm: float


NOTHING = _Solution(np.empty(0), float("nan"), float("nan"))
Evaluate = Callable[[Array], _Value]


def _search(evaluate: Evaluate, *, clean: Array, search_steps: int, iterations: int) -> _Solution:
    """Return the smallest perturbation over c, each c solved by box-constrained L-BFGS."""
    start = evaluate(clean)
    if start.flipped:
        return _Solution(clean, float("inf"), 0.0)
    solve = partial(_solve, evaluate, clean=clean, iterations=iterations)
    # above this c, x itself is a stationary point of c·‖Δ‖ + J
    without_flip = float(np.linalg.norm(start.gradient))
    best = NOTHING
    for step in range(1, _STEPS_TO_FLIP + 1):
        with_flip = without_flip / _SHRINK
        point, flipped = solve(clean, c=with_flip)
        if flipped:
            best = _Solution(point, with_flip, float(np.linalg.norm(point - clean)))
            break
        without_flip = with_flip
        if step == _STEPS_TO_FLIP or with_flip == 0:
            return NOTHING
    for _ in range(search_steps):
        c = float(np.sqrt(with_flip * without_flip))
        point, flipped = solve(best.point, c=c)
        if not flipped:
            without_flip = c
            continue
        with_flip, norm = c, float(np.linalg.norm(point - clean))
        if norm < best.norm:
            best = _Solution(point, c, norm)
    return _at_the_border(evaluate, clean, best)


def _at_the_border(evaluate: Evaluate, clean: Array, solution: _Solution) -> _Solution:
    """Return the shortest flip found by halving the way from the clean image to the solution."""
    kept, flips = clean, solution.point
    for _ in range(_STEPS_TO_BORDER):
        # between two points of the box, so inside it whatever is rounded
        middle = (kept + flips) / 2
        if evaluate(middle).flipped:
            flips = middle
        else:
            kept = middle
    return _Solution(flips, solution.c, float(np.linalg.norm(flips - clean)))


def _solve(
    evaluate: Evaluate, start: Array, *, clean: Array, c: float, iterations: int
) -> tuple[Array, bool]:
    """Minimise Eq. 1 for one c and tell whether the label flips at the minimum."""

    def value_and_gradient(point: Array) -> tuple[float, Array]:
        value, offset = evaluate(point), point - clean
        norm = float(np.linalg.norm(offset))
        slope = offset / norm if norm > 0 else offset
        return c * norm + value.loss, c * slope + value.gradient

    solved = minimize(
        value_and_gradient,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(0.0, 1.0),
        options={"maxiter": iterations, "gtol": 1e-5 * c},
    )
    return solved.x, evaluate(solved.x).flipped


class _Passes:
    """Loss, gradient and flip of many image-and-class pairs, each at a point of its own, in one pass."""

    def __init__(
        self,
        net: nn.Module,
        x: Tensor,
        labels: Tensor,
        wanted: Tensor,
        spreads: Tensor,
        targeted: bool,
    ) -> None:
        self._net, self._like, self._labels, self._wanted = net, x, labels, wanted
        self._spreads, self._targeted = spreads, targeted
        self._scales = 1 / spreads.clamp(_LEAST_SPREAD, 1.0)
        self.flat: list[Array] = list(x.flatten(1).double().cpu().numpy())

    def __call__(self, rows: Sequence[int], points: Sequence[Array]) -> list[_Value]:
        like, at = self._like, torch.tensor(rows, device=self._like.device)
        leaf = torch.from_numpy(np.stack(points)).to(like).view(-1, *like.shape[1:])
        with torch.enable_grad():
            leaf.requires_grad_(True)
            logits = self._net(leaf)
            outputs_are_finite(logits.detach()).require()
            # a common offset would take the digits that tell classes apart
            apart = logits - logits.detach().amax(dim=1, keepdim=True)
            losses = functional.cross_entropy(
                apart * self._scales[at, None], self._wanted[at], reduction="none"
            )
            gradient = gradient_of(losses.sum(), leaf)
        gradients = gradient.flatten(1).double().cpu().numpy()
        flipped = self._flipped(logits.detach(), at).tolist()
        return [_Value(*each) for each in zip(losses.tolist(), gradients, flipped, strict=True)]

    def _flipped(self, logits: Tensor, at: Tensor) -> Tensor:
        own = (self._wanted if self._targeted else self._labels)[at, None]
        kept = logits.gather(1, own)[:, 0]
        others = logits.scatter(1, own, -torch.inf).amax(dim=1)
        lead = kept - others if self._targeted else others - kept
        spacing = torch.finfo(logits.dtype).eps * kept.abs().maximum(others.abs())
        return lead > (TIE * self._spreads[at]).maximum(_SPACINGS * spacing)


def _spreads(logits: Tensor) -> Tensor:
    """Return how far the classes in play lie apart, of each image, shape (N,)."""
    gaps = logits.amax(dim=1, keepdim=True) - logits
    runner_up = gaps.sort(dim=1).values[:, 1:2]
    in_play = (gaps <= _SWITCHED_OFF * runner_up) | (runner_up == 0)
    return gaps.where(in_play, torch.zeros_like(gaps)).amax(dim=1)


def _wrong_classes(
    net: nn.Module,
    x: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    candidates: int | None,
    batch_size: int,
) -> Tensor:
    """Return the classes y' to try for each image, int64, shape (N, classes tried)."""
    with torch.no_grad():
        logits = torch.cat([net(batch) for batch in x.split(batch_size)])
    classes = logits.shape[1]
    if targets is None:
        ranked = logits.scatter(1, labels[:, None], -torch.inf).argsort(dim=1, descending=True)
        return ranked[:, : min(candidates or classes, classes - 1)]
    if targets.is_floating_point() or targets.shape != labels.shape:
        raise InputError(
            f"targets are {targets.dtype} of shape {tuple(targets.shape)}; they must be {len(labels)} classes, as whole numbers"
        )
    wanted = targets.to(labels.device, torch.int64)
    if bool(((wanted < 0) | (wanted >= classes) | (wanted == labels)).any()):
        raise InputError(f"targets must be classes from 0 to {classes - 1} other than the labels")
    return wanted[:, None]


def _smallest(
    net: nn.Module,
    x: Tensor,
    labels: Tensor,
    targets: Tensor | None,
    solved: list[_Solution],
    tried: int,
    batch_size: int,
) -> SmallestPerturbations:
    norms = np.array([solution.norm for solution in solved]).reshape(-1, tried)
    chosen = np.where(np.isnan(norms), np.inf, norms).argmin(axis=1)
    winners = [solved[row * tried + best] for row, best in enumerate(chosen)]
    perturbed = x.clone()
    for row, winner in enumerate(winners):
        if winner is not NOTHING:
            perturbed[row] = torch.from_numpy(winner.point).to(x).view_as(x[row])
    prediction = predict(net, perturbed, batch_size=batch_size)
    found = (
        prediction != labels.cpu() if targets is None else prediction == targets.cpu()
    ) & torch.tensor([winner is not NOTHING for winner in winners])
    nan = torch.full((len(winners),), float("nan"), dtype=torch.float64)
    perturbed = torch.where(found.to(x.device).view(-1, *[1] * (x.ndim - 1)), perturbed, x)
    realised = (perturbed - x).double().flatten(1).norm(dim=1).cpu()
    weights = torch.tensor([winner.c for winner in winners], dtype=torch.float64)
    return SmallestPerturbations(
        images=perturbed.cpu(),
        found=found,
        c=torch.where(found, weights, nan),
        norm=torch.where(found, realised, nan),
    )
