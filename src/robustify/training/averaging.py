"""A running average of a net's weights along its training, which is often more robust than the last weights."""

from __future__ import annotations

import copy
from itertools import chain

import torch
from torch import Tensor, nn

from robustify.errors import InputError

# what torch.optim.swa_utils.AveragedModel calls them, whose count would be copied to the device for every tensor of every step
_COUNT = "n_averaged"
_NET = "module."


class WeightAverage:
    """Exponential moving average of weights and of batch normalisation's running statistics (Polyak averaging).

    After n earlier ones, a step moves the average by 1 − min(``decay``, (1 + n) / (10 + n)) of the way to the
    net: the first weights, which are random, are soon forgotten. Counters are copied. The net that is trained
    is left alone.

    Args:
        net: whose weights are averaged.
        decay: share of the average that a late step keeps, in (0, 1).

    Raises:
        InputError: if the decay is out of range.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        if not 0 < decay < 1:
            raise InputError(f"averaging is {decay}; it must be in (0, 1)")
        self._net = copy.deepcopy(net)
        self._decay = decay
        self._count = 0

    @property
    def net(self) -> nn.Module:
        """The net with the averaged weights."""
        return self._net

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Take in the net's weights after a step."""
        pairs = list(zip(_tensors(self._net), _tensors(net), strict=True))
        moved = [pair for pair in pairs if self._count and pair[0].is_floating_point()]
        for average, current in pairs:
            if not (self._count and average.is_floating_point()):
                average.copy_(current)
        if moved:
            averages, currents = map(list, zip(*moved, strict=True))
            kept = min(self._decay, (1 + self._count) / (10 + self._count))
            torch._foreach_lerp_(averages, currents, 1 - kept)
        self._count += 1

    def state(self) -> dict[str, Tensor]:
        """Return what :meth:`restore` needs."""
        named = {f"{_NET}{name}": tensor for name, tensor in self._net.state_dict().items()}
        return {_COUNT: torch.tensor(self._count), **named}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        named = {name.removeprefix(_NET): tensors[name] for name in tensors if name != _COUNT}
        self._net.load_state_dict(named)
        self._count = int(tensors[_COUNT])


def _tensors(net: nn.Module) -> chain[Tensor]:
    return chain(net.parameters(), net.buffers())
