from __future__ import annotations

import pytest
import torch
from torch import nn

from robustify.errors import InputError
from robustify.gradients import input_gradient
from robustify.measurement import attack, epsilon_sweep
from robustify.uncertainty import L2Ball

from .conftest import LinearNet


def test_input_gradient_of_a_linear_net(linear_net: LinearNet) -> None:
    x, labels = torch.rand(8, 3, 2, 2), torch.tensor([0, 1, 2, 3] * 2)
    expected = linear_net.gradient_by_hand(x, labels)
    torch.testing.assert_close(input_gradient(linear_net, x, labels), expected)
    torch.testing.assert_close(input_gradient(linear_net, x[:1], labels[:1]), expected[:1])
    assert all(weight.grad is None for weight in linear_net.parameters())
    assert not x.requires_grad


def test_input_gradient_is_taken_where_gradients_are_switched_off(linear_net: LinearNet) -> None:
    x, labels = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 3])
    with torch.no_grad():
        gradient = input_gradient(linear_net, x, labels)
    torch.testing.assert_close(gradient, linear_net.gradient_by_hand(x, labels))


def test_gradients_are_refused_where_there_are_none(linear_net: LinearNet) -> None:
    x, labels = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 2, 3])
    with (
        torch.inference_mode(),
        pytest.raises(InputError, match=r"^gradients are asked for inside torch\.inference"),
    ):
        input_gradient(linear_net, x, labels)


class Constant(nn.Module):
    """Gives the same logits whatever it is shown."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.0, 1.0, 3.0]]).expand(len(x), 3)


def test_a_net_that_looks_at_nothing_has_no_slope(generator) -> None:
    x, labels = torch.rand(4, 1, 3, 4, generator=generator), torch.tensor([0, 1, 2, 2])
    assert torch.equal(input_gradient(Constant(), x, labels), torch.zeros_like(x))
    assert epsilon_sweep(Constant(), x, labels, [0.1]) == {0.1: 0.5}
    assert len(attack(Constant(), x, labels, {"l2": L2Ball(radius=0.5)})) == 0
