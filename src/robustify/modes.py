"""Modes that a net is in for a while, and its own again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(net: nn.Module) -> Iterator[None]:
    """Run the net in eval mode and give every submodule its own mode back afterwards."""
    training = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def frozen_running_statistics(net: nn.Module) -> Iterator[None]:
    """Keep train mode, but let the running statistics of batch and instance normalisation alone."""
    tracking = [
        module
        for module in net.modules()
        if isinstance(module, nn.modules.batchnorm._NormBase)
        and module.track_running_stats
        and module.training
    ]
    # instance normalisation updates what statistics there are, whatever it tracks
    kept = {
        module: (module.running_mean, module.running_var)
        for module in tracking
        if isinstance(module, nn.modules.instancenorm._InstanceNorm)
    }
    for module in tracking:
        module.track_running_stats = False
    for module in kept:
        module.running_mean = module.running_var = None
    try:
        yield
    finally:
        for module in tracking:
            module.track_running_stats = True
        for module, (mean, variance) in kept.items():
            module.running_mean, module.running_var = mean, variance
