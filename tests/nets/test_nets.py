from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from robustify.errors import InputError
from robustify.nets import NETS, initialise, make_net
from robustify.storage import tensors_sha256

SHAPES = {
    "mnist_convnet": (1, 28, 28),
    "airbench": (3, 32, 32),
    "vgg": (3, 32, 32),
    "preact_resnet": (3, 32, 32),
    "fully_connected": (1, 28, 28),
}
# counted by hand from the layers of the papers
WEIGHTS = {
    "mnist_convnet": (32 * 25 + 32) + (64 * 32 * 25 + 64) + (576 * 200 + 200) + (200 * 10 + 10),
    "airbench": (24 * 12 + 24)
    + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 256 * 256 + 256 * 256 + 256 * 256)
    + 2 * (2 * 64 + 4 * 256)
    + 2560,
    "vgg": sum(
        9 * before * after + after + 2 * after
        for before, after in zip(
            [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512],
            [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512],
            strict=True,
        )
    )
    + (512 * 512 + 512)
    + 2 * 512
    + (512 * 10 + 10),
    # convolutions, the shortcuts that aren't the identity, what normalises each convolution's input and the last features, head
    "preact_resnet": 9 * 3 * 64
    + 9 * sum(stage * stage for stage in (64, 128, 256, 512)) * 3
    + 9 * (64 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    + (64 * 128 + 128 * 256 + 256 * 512)
    + 2 * (4 * 64 + (64 + 3 * 128) + (128 + 3 * 256) + (256 + 3 * 512) + 512)
    + (512 * 10 + 10),
    "fully_connected": (784 * 200 + 200) + (200 * 200 + 200) + (200 * 10 + 10),
}


@pytest.mark.parametrize("name", NETS)
def test_a_net_has_its_papers_weights_and_ten_logits(name: str) -> None:
    net = make_net(name).eval()
    assert sum(weight.numel() for weight in net.parameters()) == WEIGHTS[name]
    assert net(torch.rand(2, *SHAPES[name])).shape == (2, 10)


@pytest.mark.parametrize("name", NETS)
def test_first_weights_depend_on_the_generator_alone(name: str) -> None:
    images = torch.randint(0, 256, (64, *SHAPES[name]), dtype=torch.uint8)
    hashes = []
    for seed in (0, 0, 1):
        net = make_net(name)
        initialise(net, images, torch.Generator().manual_seed(seed))
        hashes.append(tensors_sha256(dict(net.state_dict())))
    assert hashes[0] == hashes[1] != hashes[2]


def test_whitening_makes_patches_of_the_training_images_uncorrelated() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.rand(200, 3, 8, 8, generator=generator), size=32, mode="bilinear"
    )
    images = (smooth * 255).to(torch.uint8)
    net = make_net("airbench")
    initialise(net, images, generator)
    answers = net.whitening(net.standardise(images.float() / 255))[:, :12]
    flat = answers.permute(0, 2, 3, 1).flatten(0, 2)
    second_moments = flat.T @ flat / len(flat)
    off_diagonal = second_moments - second_moments.diag().diag()
    assert off_diagonal.abs().max() < 1e-2
    assert second_moments.diag().max() < 1.01


def test_the_convnet_can_be_wider() -> None:
    net = make_net("mnist_convnet", widths=[8, 16, 50])
    assert sum(weight.numel() for weight in net.parameters()) == (
        (8 * 25 + 8) + (16 * 8 * 25 + 16) + (16 * 9 * 50 + 50) + (50 * 10 + 10)
    )
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_authors_robust_net_normalises_its_input() -> None:
    plain, normalised = make_net("mnist_convnet"), make_net("mnist_convnet", input_batch_norm=True)
    assert sum(w.numel() for w in normalised.parameters()) == 2 + sum(
        w.numel() for w in plain.parameters()
    )


def test_a_soft_threshold_is_the_logistic_function_around_the_middle() -> None:
    net = make_net("mnist_convnet", soft_threshold=10.0)
    initialise(net, torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.Generator())
    found = net[0](torch.tensor([0.0, 0.3, 0.5, 1.0], dtype=torch.float64).view(1, 1, 1, 4))
    expected = [1 / (1 + math.exp(-10 * (x - 0.5))) for x in (0.0, 0.3, 0.5, 1.0)]
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-12)


def test_a_new_training_begins_with_the_first_threshold() -> None:
    net = make_net("mnist_convnet", soft_threshold=10.0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.fill_(7.0)
    initialise(net, torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.Generator())
    assert (net[0].steepness.item(), net[0].offset.item()) == (10.0, 5.0)


def residual_net(widths: list[int]) -> torch.nn.Module:
    """One whose blocks add nothing, so that only the shortcuts are left of them."""
    net = make_net("preact_resnet", widths=widths)
    initialise(net, torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.Generator())
    for name, weight in net.named_parameters():
        if name.endswith("second.weight"):
            weight.data.zero_()
    return net.eval().double()


def test_a_block_adds_to_what_comes_in() -> None:
    net = residual_net([5])
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    features = functional.conv2d(net.standardise(images), net.stem.weight, padding=1)
    rectified = (features / math.sqrt(1 + 1e-5)).clamp(min=0)
    expected = rectified.mean((2, 3)) @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(net(images), expected)


def test_a_shortcut_to_a_smaller_stage_is_a_convolution_of_what_is_rectified() -> None:
    net = residual_net([5, 7])
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    shortcut = net.stages[1][0].shortcut.weight.flatten(1)
    features = functional.conv2d(net.standardise(images), net.stem.weight, padding=1)
    rectified = (features / math.sqrt(1 + 1e-5)).clamp(min=0)[:, :, ::2, ::2]
    smaller = torch.einsum("nchw,dc->ndhw", rectified, shortcut)
    rectified = (smaller / math.sqrt(1 + 1e-5)).clamp(min=0)
    expected = rectified.mean((2, 3)) @ net.head.weight.T + net.head.bias
    torch.testing.assert_close(net(images), expected)


def test_unknown_nets_and_options_are_refused() -> None:
    known = "mnist_convnet, airbench, vgg, preact_resnet, fully_connected"
    with pytest.raises(InputError, match=known):
        make_net("resnet")
    with pytest.raises(InputError, match="depth"):
        make_net("vgg", depth=3)
    with pytest.raises(InputError, match="three"):
        make_net("airbench", widths=[1, 2])
    for widths in ([32, 64], [32, 0, 200]):
        with pytest.raises(ValueError, match="two numbers of channels and one of units"):
            make_net("mnist_convnet", widths=widths)
    for steepness in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"steepness is .*must be > 0"):
            make_net("mnist_convnet", soft_threshold=steepness)
    for widths in ([], [100, 0]):
        with pytest.raises(InputError, match="numbers of units, each >= 1"):
            make_net("fully_connected", widths=widths)
        with pytest.raises(InputError, match="numbers of channels, each >= 1"):
            make_net("preact_resnet", widths=widths)
    with pytest.raises(InputError, match="blocks is 0; it must be >= 1"):
        make_net("preact_resnet", blocks=0)
