from __future__ import annotations

import pytest
import torch

from robustify.errors import InputError
from robustify.measurement import accuracy_under_steps, epsilon_sweep

from ..conftest import LinearNet


def some_images(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randint(60, 200, (40, 3, 2, 2), generator=generator).to(torch.uint8)
    return images, torch.randint(0, 4, (40,), generator=generator)


def test_linf_steps_are_the_sweep(linear_net: LinearNet, generator: torch.Generator) -> None:
    images, labels = some_images(generator)
    radii = [0.01, 0.05, 0.2]
    found = accuracy_under_steps(linear_net, images, labels, {"linf": radii}, batch_size=7)
    assert found["linf"] == epsilon_sweep(linear_net, images, labels, radii)


def test_a_step_on_two_linear_logits_moves_the_margin_by_the_dual_norm(
    generator: torch.Generator,
) -> None:
    # loss falls with the margin m(x) = (w1 - w0)·x, which a step of radius r lowers by r·‖w1 - w0‖*
    net = LinearNet(12, 2)
    images = torch.randint(100, 156, (50, 3, 2, 2), generator=generator).to(torch.uint8)
    labels = torch.ones(50, dtype=torch.int64)
    difference = (net.linear.weight[1] - net.linear.weight[0]).detach().double()
    slopes = (images.flatten(1).double() / 255) @ difference
    # margins on both sides of what a step takes away
    net.linear.bias.data = torch.tensor([0.0, 0.05 - float(slopes.median())])
    margin = slopes + float(net.linear.bias.detach()[1])
    radii = {"l1": [0.05, 0.2], "l2": [0.05, 0.2], "linf": [0.02, 0.1]}
    dual = {"l1": torch.inf, "l2": 2.0, "linf": 1.0}
    found = accuracy_under_steps(net, images, labels, radii)
    shares = {accuracy for by_radius in found.values() for accuracy in by_radius.values()}
    assert len(shares) > 3, "the accuracies must tell steps apart"
    for norm, by_radius in found.items():
        lever = torch.linalg.vector_norm(difference, ord=dual[norm])
        for radius, accuracy in by_radius.items():
            # no pixel comes near the border of the box, so that the ball alone counts
            assert accuracy == float((margin > radius * lever).double().mean())


def test_no_images_and_unknown_norms_are_refused(linear_net: LinearNet) -> None:
    images = torch.zeros(0, 3, 2, 2, dtype=torch.uint8)
    with pytest.raises(InputError, match="no images"):
        accuracy_under_steps(linear_net, images, torch.zeros(0), {"l2": [1.0]})
    with pytest.raises(InputError, match="l3"):
        accuracy_under_steps(
            linear_net, torch.zeros(1, 3, 2, 2), torch.zeros(1).long(), {"l3": [1.0]}
        )


def test_floats_are_measured_as_they_are_and_stay(linear_net) -> None:
    images = torch.rand(6, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    kept = images.clone()
    labels = linear_net(images).argmax(dim=1)
    assert accuracy_under_steps(linear_net, images, labels, {"linf": [1e-6]}) == {
        "linf": {1e-6: 1.0}
    }
    assert torch.equal(images, kept)


def test_what_a_sweep_refuses_is_refused(linear_net: LinearNet, generator: torch.Generator) -> None:
    images, labels = some_images(generator)
    probabilities = torch.nn.Sequential(linear_net, torch.nn.Softmax(dim=1))
    with pytest.raises(InputError, match="must give logits"):
        accuracy_under_steps(probabilities, images, labels, {"l2": [1.0]})
    with pytest.raises(InputError, match="0 to 3"):
        accuracy_under_steps(linear_net, images, labels + 1, {"l2": [1.0]})
    with pytest.raises(InputError, match="batch_size is 0"):
        accuracy_under_steps(linear_net, images, labels, {"l2": [1.0]}, batch_size=0)


def test_outputs_that_are_no_numbers_are_refused(linear_net) -> None:
    with torch.no_grad():
        linear_net.linear.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="isn't finite on 6 of 6 images"):
        accuracy_under_steps(
            linear_net, torch.rand(6, 3, 2, 2), torch.zeros(6).long(), {"l2": [1.0]}
        )
