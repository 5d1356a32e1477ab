from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> Iterator[None]:
    """Shells start jobs in the background with Ctrl-C ignored, and so would the processes under test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def weights_are_the_same_in_any_order() -> None:
    """Nets that a test makes draw from the global generator."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


class LinearNet(nn.Module):
    """Logits = W x + b over flattened pixels, with batch normalisation that measures mode handling."""

    def __init__(self, dimensions: int, classes: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm1d(dimensions) if batch_norm else nn.Identity()
        self.linear = nn.Linear(dimensions, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.normalise(x.flatten(1)))

    def gradient_by_hand(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Of summed cross entropy, without normalisation: Wᵀ(softmax − one-hot)."""
        wanted = functional.one_hot(labels, self.linear.out_features)
        residual = functional.softmax(self(x), dim=1) - wanted
        return (residual @ self.linear.weight).detach().view_as(x)


@pytest.fixture
def linear_net() -> LinearNet:
    torch.manual_seed(0)
    return LinearNet(12, 4)


@pytest.fixture(scope="session")
def real_mnist():
    """The genuine MNIST, from the project's verified copy or its public sources."""
    from robustify.ingestion.acquisition import acquire

    return acquire("mnist", raw_directory=PROJECT / "data" / "01_raw")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # of two processes, the one that came to the longest file last would keep the other waiting
    items.sort(key=lambda item: item.path.name != "test_pipelines.py")
