from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from robustify.answers import answer, device_of, logits_of, pixels
from robustify.attacks import Pgd, robust_accuracy
from robustify.errors import InputError
from robustify.measurement import accuracy_under_steps, attack, epsilon_sweep, predict
from robustify.uncertainty import make_uncertainty_set

BALL = make_uncertainty_set("linf", radius=0.2)


class Brightness(nn.Module):
    """Has no weights: class 1 of an image whose mean is above one half, else class 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = x.flatten(1).mean(dim=1, keepdim=True) - 0.5
        return torch.cat([-bright, bright], dim=1)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.tensor([0, 64, 120, 140, 200, 255], dtype=torch.uint8)[:, None, None, None].expand(
        -1, 3, 2, 2
    )


LABELS = torch.tensor([0, 0, 0, 1, 1, 1])


def test_a_net_without_weights_is_measured_too(images) -> None:
    net = Brightness()
    assert device_of(net) == torch.device("cpu")
    assert predict(net, images).tolist() == LABELS.tolist()
    # a step of 0.2 takes means from 120 to 140 of 255 across one half, and no others
    assert epsilon_sweep(net, images, LABELS, [0.0, 0.2]) == {0.0: 1.0, 0.2: 4 / 6}
    assert attack(net, images, LABELS, {"linf": BALL}).source.tolist() == [2, 3]
    found = robust_accuracy(net, images, LABELS, Pgd(steps=3), BALL, seed=0, show_progress=False)
    assert found.robust_accuracy == 4 / 6


def test_buffers_tell_the_device_of_a_net_without_weights() -> None:
    net = nn.BatchNorm2d(3, affine=False).to("meta")
    assert device_of(net) == torch.device("meta")


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_any_size_are_measured_in_float32(images, kind: torch.dtype) -> None:
    seen = []

    class Seeing(Brightness):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.dtype)
            return super().forward(x)

    floats = (images.double() / 255).to(kind)
    assert predict(Seeing(), floats).tolist() == LABELS.tolist()
    assert epsilon_sweep(Seeing(), floats, LABELS, [0.2]) == {0.2: 4 / 6}
    assert set(seen) == {torch.float32}


def test_a_net_of_other_numbers_is_measured_in_its_own(images) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([-1.0, 1.0])[:, None].expand(2, 12) / 12)
        net[1].bias.copy_(torch.tensor([0.5, -0.5]))
    assert predict(net, images).tolist() == LABELS.tolist()
    assert epsilon_sweep(net, images, LABELS, [0.2]) == {0.2: 4 / 6}
    assert attack(net, images, LABELS, {"linf": BALL}).source.tolist() == [2, 3]
    found = robust_accuracy(net, images, LABELS, Pgd(steps=3), BALL, seed=0, show_progress=False)
    assert found.robust_accuracy == 4 / 6


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32])
def test_labels_may_be_whole_numbers_of_any_size(images, kind: torch.dtype) -> None:
    labels = LABELS.to(kind)
    assert epsilon_sweep(Brightness(), images, labels, [0.2]) == {0.2: 4 / 6}
    examples = attack(Brightness(), images, labels, {"linf": BALL})
    assert examples.labels.dtype == torch.int64
    assert examples.labels.tolist() == [0, 1]


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_a_batch_that_holds_no_whole_number_of_images_is_refused(images, size: object) -> None:
    message = re.escape(f"batch_size is {size!r}; it must be a whole number, at least 1")
    for measure in (
        lambda: predict(Brightness(), images, batch_size=size),
        lambda: logits_of(Brightness(), images, batch_size=size),
        lambda: epsilon_sweep(Brightness(), images, LABELS, [0.1], batch_size=size),
        lambda: attack(Brightness(), images, LABELS, {"linf": BALL}, batch_size=size),
        lambda: robust_accuracy(Brightness(), images, LABELS, Pgd(), BALL, batch_size=size, seed=0),
    ):
        with pytest.raises(InputError, match=message):
            measure()


def test_what_are_no_images_and_labels_is_refused_by_name(images) -> None:
    with pytest.raises(InputError, match=r"images are torch\.int32; they must be uint8, or floats"):
        pixels(images.int(), Brightness())
    with pytest.raises(
        InputError, match=r"images have shape \(3, 2, 2\); it must be \(N, C, H, W\)"
    ):
        predict(Brightness(), images[0])
    with pytest.raises(
        InputError, match=r"labels are torch\.float32 .* must be 6 of .* as whole numbers"
    ):
        epsilon_sweep(Brightness(), images, LABELS.float(), [0.1])


def test_an_answer_that_is_no_tensor_is_refused() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.raises(InputError, match="output is a tuple; it must be a tensor"):
        answer(Pair(), torch.zeros(2, 3, 2, 2))


def test_a_net_that_changes_its_input_is_refused_and_the_callers_images_stay(images) -> None:
    class InPlace(Brightness):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.mul_(0.5))

    floats = images.float() / 255
    for given in (images, floats, floats.contiguous(memory_format=torch.channels_last)):
        before = given.clone()
        for measure in (
            lambda given: predict(InPlace(), given),
            lambda given: epsilon_sweep(InPlace(), given, LABELS, [0.2]),
            lambda given: robust_accuracy(
                InPlace(), given, LABELS, Pgd(steps=3), BALL, seed=0, show_progress=False
            ),
        ):
            with pytest.raises(InputError, match="changes its input in place"):
                measure(given)
            assert torch.equal(given, before)


@pytest.mark.parametrize("kind", [torch.bool, torch.int64, torch.complex64])
def test_outputs_that_are_no_real_numbers_are_refused(images, kind: torch.dtype) -> None:
    class Other(Brightness):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).to(kind)

    with pytest.raises(InputError, match=f"output is {kind}; it must be floating-point logits"):
        epsilon_sweep(Other(), images, LABELS, [0.2])


def test_images_of_another_size_are_refused_by_their_shape(images) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    for images_of_another in (images[:, :, :1], images[:, :1]):
        with pytest.raises(InputError, match=r"fails on images of shape \(\d, \d, 2\): mat1"):
            epsilon_sweep(net, images_of_another, LABELS, [0.2])
        with pytest.raises(InputError, match="fails on images of shape"):
            robust_accuracy(
                net, images_of_another, LABELS, Pgd(), BALL, seed=0, show_progress=False
            )


def test_arrays_and_lists_are_told_how_to_become_tensors(images) -> None:
    net = Brightness()
    for x, y, name in (
        (images.numpy(), LABELS, "images are a ndarray"),
        (images, LABELS.tolist(), "labels are a list"),
        (None, LABELS, "images are a NoneType"),
    ):
        for measure in (
            lambda x, y: epsilon_sweep(net, x, y, [0.2]),
            lambda x, y: attack(net, x, y, {"linf": BALL}),
            lambda x, y: robust_accuracy(net, x, y, Pgd(), BALL, seed=0, show_progress=False),
        ):
            with pytest.raises(InputError, match=f"{name}; they must be a tensor"):
                measure(x, y)


def test_radii_in_bytes_and_odd_seeds_are_refused(images) -> None:
    net, eight = Brightness(), make_uncertainty_set("linf", radius=8)
    with pytest.raises(
        InputError, match=r"radius is 8\.0; the pixel box \[0, 1\] is only 1 across"
    ):
        robust_accuracy(net, images, LABELS, Pgd(), eight, seed=0, show_progress=False)
    with pytest.raises(InputError, match="only 12 across"):
        accuracy_under_steps(net, images, LABELS, {"l1": [12.5]})
    assert accuracy_under_steps(net, images, LABELS, {"l1": [12.0]}) == {"l1": {12.0: 0.0}}
    for seed in (None, 1.5, True, -1, 2**63, "0"):
        with pytest.raises(InputError, match=r"seed is .+; it must be a whole number from 0"):
            robust_accuracy(net, images, LABELS, Pgd(), BALL, seed=seed, show_progress=False)
