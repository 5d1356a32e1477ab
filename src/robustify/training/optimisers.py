"""Optimisers, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from robustify.errors import InputError
from robustify.training.schedules import make_schedule


class Muon(Optimizer):
    """Momentum with orthogonalised updates for convolution filters (Jordan et al., 2024).

    Each filter bank is kept at a fixed norm, and each update is replaced by the nearest
    semi-orthogonal matrix. torch.optim.Muon takes matrices only, hence this one.

    Args:
        parameters: filters of shape (out, in, height, width).
        lr: step length relative to the filters' fixed norm.
        momentum: share of the last direction kept.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.6) -> None:
        if lr < 0 or not 0 <= momentum < 1:
            raise InputError(f"lr {lr} must be >= 0 and momentum {momentum} in [0, 1)")
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one descent step on every filter that has a gradient.

        Raises:
            InputError: for a closure, which would never be called.
        """
        if closure is not None:
            raise InputError("Muon takes no closure; call backward before step")
        for group in self.param_groups:
            for filters in group["params"]:
                if filters.grad is not None:
                    self._descend(filters, group["lr"], group["momentum"])

    def _descend(self, filters: Tensor, lr: float, momentum: float) -> None:
        gradient = filters.grad
        state = self.state[filters]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(filters)
        velocity = state["velocity"]
        velocity.mul_(momentum).add_(gradient)
        direction = velocity.mul(momentum).add_(gradient)
        # a bank of zeros has no direction to be scaled to
        filters.mul_(len(filters) ** 0.5 / filters.norm().clamp(min=1e-12))
        update = orthogonalise(direction.flatten(1)).view(filters.shape)
        filters.add_(update, alpha=-lr)


def orthogonalise(matrix: Tensor, iterations: int = 3) -> Tensor:
    """Return approximately U·Vᵀ of the singular value decomposition, by Newton-Schulz iterations.

    The quintic's coefficients (Jordan et al., 2024) drive singular values to about 1, not exactly.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x: Tensor = matrix / (matrix.norm() + 1e-7)
    transposed = x.shape[0] > x.shape[1]
    if transposed:
        x = x.T
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if transposed else x


class Descent:
    """The optimisers of one net, stepped together under one schedule."""

    def __init__(self, optimisers: list[Optimizer], schedule: Callable[[int], float]) -> None:
        self.optimisers = optimisers
        self._schedulers = [LambdaLR(optimiser, schedule) for optimiser in optimisers]

    def step(self) -> None:
        """Descend along the gradients, clear them, and move the schedule on."""
        for optimiser, scheduler in self._pairs():
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            scheduler.step()

    def state(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """Return the optimisers' tensors by name, and what else they and their schedules remember as JSON."""
        tensors: dict[str, Tensor] = {}
        rest: list[dict[str, Any]] = []
        for number, (optimiser, scheduler) in enumerate(self._pairs()):
            state = optimiser.state_dict()
            for weight, values in state["state"].items():
                for name, value in values.items():
                    if isinstance(value, Tensor):
                        tensors[f"optimiser.{number}.{weight}.{name}"] = value
            schedule = scheduler.state_dict()
            schedule.pop("lr_lambdas")
            rest.append({"param_groups": state["param_groups"], "schedule": schedule})
        return tensors, rest

    def restore(self, tensors: Mapping[str, Tensor], rest: list[dict[str, Any]]) -> None:
        """Go on from what :meth:`state` returned; tensors of other names are left alone."""
        for number, (optimiser, scheduler) in enumerate(self._pairs()):
            weights = [weight for group in optimiser.param_groups for weight in group["params"]]
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                kind, *place = key.split(".")
                if kind == "optimiser" and int(place[0]) == number:
                    state.setdefault(int(place[1]), {})[place[2]] = _in_format_of(
                        weights[int(place[1])], value
                    )
            optimiser.load_state_dict(
                {"state": state, "param_groups": rest[number]["param_groups"]}
            )
            scheduler.load_state_dict({**rest[number]["schedule"], "lr_lambdas": [None]})

    def _pairs(self) -> Iterable[tuple[Optimizer, LambdaLR]]:
        return zip(self.optimisers, self._schedulers, strict=True)


def make_descent(
    net: nn.Module,
    *,
    name: str,
    steps: int,
    steps_per_epoch: int,
    schedule: dict[str, Any] | None = None,
    **options: float | bool | None,
) -> Descent:
    """Return the net's optimisers.

    Args:
        net: whose trainable weights are to be descended on.
        name: ``sgd`` (Nesterov by default), ``muon`` (Muon for filters, SGD for the rest) or ``adam`` (AdamW).
        steps: length of the training, in descent steps.
        steps_per_epoch: descent steps in an epoch.
        schedule: ``name`` of the schedule and its options; one that is None counts as left out, here too.
        options: learning rate, momentum and weight decay of the optimiser; one that is None counts
            as left out, so that one configuration can drop what it inherits from another.

    Raises:
        ValueError: for an unknown name or option.
    """
    if name not in OPTIMISERS:
        raise InputError(f"optimiser {name!r} is unknown; known: {', '.join(OPTIMISERS)}")
    given = {key: value for key, value in options.items() if value is not None}
    _require_in_range(given)
    chosen = schedule or {"name": "triangle"}
    left = {key: value for key, value in chosen.items() if value is not None}
    factor = make_schedule(steps=steps, steps_per_epoch=steps_per_epoch, **left)
    try:
        optimisers = OPTIMISERS[name](net, **given)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"optimiser {name!r} with options {options}: {error}") from error
    return Descent(optimisers, factor)


# float32 holds hardly more
LARGEST = 1e38
# what each option must be, by its last words: in one line, and as a test
_RANGES: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    ("learning_rate", "> 0", lambda value: value > 0),
    ("learning_rate", f"at most {LARGEST:g}", lambda value: value <= LARGEST),
    ("momentum", "in [0, 1)", lambda value: 0 <= value < 1),
    ("weight_decay", ">= 0", lambda value: value >= 0),
    ("weight_decay", f"at most {LARGEST:g}", lambda value: value <= LARGEST),
    ("dampening", "in [0, 1]", lambda value: 0 <= value <= 1),
)


def _require_in_range(options: Mapping[str, float | bool]) -> None:
    problems = [
        f"{option} is {value}; it must be {range_}"
        for option, value in options.items()
        for ending, range_, holds in _RANGES
        if option.endswith(ending) and isinstance(value, int | float) and not holds(value)
    ]
    if problems:
        raise InputError("; ".join(problems))


def _sgd(
    net: nn.Module,
    *,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    nesterov: bool = True,
    dampening: float = 0.0,
) -> list[Optimizer]:
    if nesterov and momentum and dampening:
        raise InputError(f"nesterov goes without dampening, which is {dampening}; leave out either")
    return [
        SGD(
            _trainable(net),
            lr=learning_rate,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov and momentum > 0,
            foreach=True,
        )
    ]


def _muon(
    net: nn.Module,
    *,
    learning_rate: float,
    filter_learning_rate: float,
    momentum: float = 0.85,
    filter_momentum: float = 0.6,
    weight_decay: float = 0.0,
) -> list[Optimizer]:
    filters = [weight for weight in _trainable(net) if weight.ndim == 4]
    rest = [weight for weight in _trainable(net) if weight.ndim != 4]
    return [
        Muon(filters, lr=filter_learning_rate, momentum=filter_momentum),
        SGD(
            rest,
            lr=learning_rate,
            momentum=momentum,
            weight_decay=weight_decay,
            nesterov=momentum > 0,
            foreach=True,
        ),
    ]


def _adam(net: nn.Module, *, learning_rate: float, weight_decay: float = 0.0) -> list[Optimizer]:
    return [AdamW(_trainable(net), lr=learning_rate, weight_decay=weight_decay, foreach=True)]


def _in_format_of(weight: Tensor, value: Tensor) -> Tensor:
    """Return a stored value as if it had never been stored: in the weight's memory format, unless it's a count of steps."""
    if value.shape != weight.shape:
        return value.clone()
    return torch.empty_like(weight, dtype=value.dtype).copy_(value)


def _trainable(net: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in net.parameters() if weight.requires_grad]


OPTIMISERS: dict[str, Callable[..., list[Optimizer]]] = {
    "sgd": _sgd,
    "muon": _muon,
    "adam": _adam,
}
