"""A running average of a net's weights along its training, which is often more robust than the last weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from robustify.errors import InputError


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

        def moved(average: Tensor, current: Tensor, _: Tensor | int) -> Tensor:
            if not average.is_floating_point():
                return current
            # the counter lies on the CPU; what is handed in is its copy on the device, and reading it would wait for that
            count = int(self._averaged.n_averaged)
            return torch.lerp(average, current, 1 - min(decay, (1 + count) / (10 + count)))

        self._averaged = AveragedModel(net, avg_fn=moved, use_buffers=True)

    @property
    def net(self) -> nn.Module:
        """The net with the averaged weights."""
        return self._averaged.module

    def update(self, net: nn.Module) -> None:
        """Take in the net's weights after a step."""
        self._averaged.update_parameters(net)

    def state(self) -> dict[str, Tensor]:
        """Return what :meth:`restore` needs."""
        return dict(self._averaged.state_dict())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        self._averaged.load_state_dict(tensors)
