from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from robustify.checks.parameters import experiments_of
from robustify.errors import InputError
from robustify.nets import make_net
from robustify.pipelines.objectives.pipeline import create_pipeline
from robustify.tangents import TangentPlanes, clipping_loss, nearest_neighbours
from robustify.uncertainty import TangentBall, make_uncertainty_set

from .test_configuration import load


def pictures(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 1, 5, 5), generator=generator, dtype=torch.uint8)
    return images, torch.arange(count) % 3


def bound(radius: float, step: str, count: int = 6) -> tuple[TangentBall, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    bases = torch.linalg.qr(torch.randn(20, 25, 4, generator=generator)).Q.transpose(1, 2)
    indices = torch.arange(count) + 3
    ball = make_uncertainty_set("tangent", radius=radius, step=step, bases=lambda rows: bases[rows])
    assert isinstance(ball, TangentBall)
    return ball.for_examples(indices), bases[indices]


def test_neighbours_are_the_nearest_of_the_same_class() -> None:
    images, labels = pictures()
    found = nearest_neighbours(images, labels, 5, batch_size=7)
    flat = images.flatten(1).numpy().astype(np.int64)
    for row in range(len(images)):
        distance = ((flat - flat[row]) ** 2).sum(1)
        others = [i for i in range(len(images)) if i != row and labels[i] == labels[row]]
        assert found[row].tolist() == sorted(others, key=lambda i: distance[i])[:5]


def test_planes_are_the_leading_principal_directions() -> None:
    images, labels = pictures()
    neighbours = nearest_neighbours(images, labels, 6)
    indices = torch.tensor([5, 0, 33])
    bases = TangentPlanes(images, neighbours, dimension=3)(indices)
    assert bases.shape == (3, 3, 25)
    torch.testing.assert_close(
        bases @ bases.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-5, rtol=0
    )
    flat = images.flatten(1).double().numpy() / 255
    for basis, row in zip(bases.double().numpy(), indices.tolist(), strict=True):
        _, _, right = np.linalg.svd(flat[neighbours[row].numpy()] - flat[row])
        np.testing.assert_allclose(basis.T @ basis, right[:3].T @ right[:3], atol=1e-5)


def test_neighbours_on_a_line_span_one_dimension() -> None:
    ramp = torch.arange(8, dtype=torch.uint8)[:, None] * torch.ones(9, dtype=torch.uint8)
    images = ramp.view(8, 1, 3, 3)
    neighbours = nearest_neighbours(images, torch.zeros(8, dtype=torch.int64), 4)
    bases = TangentPlanes(images, neighbours, dimension=2)(torch.tensor([3]))
    torch.testing.assert_close(bases[0, 0].abs(), torch.full((9,), 1 / 3))
    assert (bases[0, 1] == 0).all()


def test_the_step_is_the_projected_gradient_at_full_length() -> None:
    ball, basis = bound(0.4, "unclipped")
    x, gradient = torch.rand(6, 1, 5, 5), torch.randn(6, 1, 5, 5) * 1e-25
    step = ball.steepest_ascent(gradient, x).flatten(1)
    for row in range(6):
        projected = basis[row].T @ (basis[row] @ (gradient[row].flatten().double() * 1e25).float())
        torch.testing.assert_close(step[row], 0.4 * projected / projected.norm(), atol=1e-6, rtol=0)
    torch.testing.assert_close(ball.onto_plane(step), step, atol=1e-6, rtol=0)
    assert (ball.steepest_ascent(torch.zeros_like(x), x) == 0).all()


def test_no_point_of_plane_and_ball_is_higher(generator: torch.Generator) -> None:
    ball, _ = bound(0.4, "unclipped")
    x, gradient = torch.rand(6, 1, 5, 5), torch.randn(6, 1, 5, 5)
    best = (ball.steepest_ascent(gradient, x) * gradient).flatten(1).sum(1)
    for _ in range(200):
        offset = (ball.sample(x, generator) - x).flatten(1)
        assert (offset.norm(dim=1) <= 0.4 + 1e-5).all()
        torch.testing.assert_close(ball.onto_plane(offset), offset, atol=1e-5, rtol=0)
        assert ((offset * gradient.flatten(1)).sum(1) <= best + 1e-5).all()


def test_projection_onto_plane_and_ball_is_the_nearest_point(generator: torch.Generator) -> None:
    ball, basis = bound(0.4, "unclipped")
    x = torch.rand(6, 1, 5, 5)
    candidate = x + 0.3 * torch.randn(6, 1, 5, 5, generator=generator)
    found = ball.project(candidate, x)
    offset = (found - x).flatten(1)
    assert (offset.norm(dim=1) <= 0.4 + 1e-6).all()
    distance = (found - candidate).flatten(1).norm(dim=1)
    for _ in range(300):
        other = ball.sample(x, generator)
        assert ((other - candidate).flatten(1).norm(dim=1) >= distance - 1e-5).all()
    inside = x + 0.1 * torch.einsum("np,npd->nd", torch.ones(6, 4) / 2, basis).view_as(x)
    torch.testing.assert_close(ball.project(inside, x), inside, atol=1e-6, rtol=0)


def test_the_literal_step_is_clipped_to_the_box() -> None:
    literal, _ = bound(2.0, "literal")
    unclipped, _ = bound(2.0, "unclipped")
    x, gradient = torch.rand(6, 1, 5, 5), torch.randn(6, 1, 5, 5)
    expected = (x + unclipped.steepest_ascent(gradient, x)).clamp(0, 1) - x
    torch.testing.assert_close(literal.steepest_ascent(gradient, x), expected)
    assert (expected.flatten(1).norm(dim=1) < 2.0).all()


def test_what_clipping_takes_off_the_plane() -> None:
    torch.manual_seed(0)
    net = make_net("mnist_convnet").eval()
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 2
    grey = torch.randint(100, 156, (40, 1, 28, 28), generator=generator, dtype=torch.uint8)
    black = torch.where(grey > 140, grey, 0).to(torch.uint8)
    losses = {}
    for name, images in (("grey", grey), ("black", black)):
        planes = TangentPlanes(images, nearest_neighbours(images, labels, 6), dimension=4)
        losses[name] = clipping_loss(net, images, labels, planes, radius=0.5, count=10)
    # amid the box nothing is clipped; at its border half of every direction is
    assert losses["grey"]["clipped_length"] == pytest.approx(1, abs=1e-4)
    assert losses["grey"]["off_plane"] == pytest.approx(0, abs=1e-3)
    assert 0.3 < losses["black"]["clipped_length"] < 0.95
    assert 0.2 < losses["black"]["off_plane"] < 0.95


def test_nothing_is_said_of_clipping_where_steps_are_unclipped() -> None:
    for step, measured in (("literal", 1), ("unclipped", 0)):
        parameters = copy.deepcopy(load("base"))
        parameters["mnist"]["objectives"]["nets"]["tangent"]["uncertainty_set"]["step"] = step
        mnist = experiments_of(parameters)["mnist"]
        nodes = [node.short_name for node in create_pipeline("mnist", mnist).nodes]
        assert sum("measure_clipping" in name for name in nodes) == measured


def test_steps_that_go_nowhere_lose_nothing_to_clipping() -> None:
    images, labels = pictures()
    planes = TangentPlanes(images, nearest_neighbours(images, labels, 4), dimension=2)
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(images[0].numel(), 3)).eval()
    torch.nn.init.zeros_(flat[1].weight)
    found = clipping_loss(flat, images, labels, planes, radius=1.0)
    assert found == {"clipped_length": 0.0, "off_plane": 0.0}


def test_bad_values_are_refused() -> None:
    images, labels = pictures()
    planes = TangentPlanes(images, nearest_neighbours(images, labels, 4), dimension=2)
    with pytest.raises(InputError, match=r"images are torch\.float32; they must be torch\.uint8"):
        clipping_loss(make_net("mnist_convnet"), images.float() / 255, labels, planes, radius=1.0)
    with pytest.raises(InputError, match="class 0 has only 20 images"):
        nearest_neighbours(images, labels, 20)
    with pytest.raises(InputError, match="neighbours is 0"):
        nearest_neighbours(images, labels, 0)
    neighbours = nearest_neighbours(images, labels, 4)
    with pytest.raises(InputError, match="dimension is 5"):
        TangentPlanes(images, neighbours, dimension=5)
    with pytest.raises(InputError, match="neighbours of 60 images, but 59 images"):
        TangentPlanes(images[:-1], neighbours, dimension=2)
    with pytest.raises(InputError, match="known: literal, unclipped"):
        make_uncertainty_set("tangent", radius=1.0, step="box_aware")
    with pytest.raises(InputError, match="radius of 'tangent'"):
        make_uncertainty_set("tangent", radius=-1.0)
    with pytest.raises(InputError, match="needs the examples' tangent planes"):
        make_uncertainty_set("tangent", radius=1.0).project(torch.rand(1, 4), torch.rand(1, 4))


def test_samples_fill_the_disc_in_the_plane_evenly() -> None:
    generator = torch.Generator().manual_seed(2)
    basis = torch.linalg.qr(torch.randn(25, 4, generator=generator)).Q.T
    ball = make_uncertainty_set(
        "tangent", radius=0.3, step="unclipped", bases=lambda rows: basis.expand(len(rows), 4, 25)
    ).for_examples(torch.arange(4000))
    x = torch.full((4000, 1, 5, 5), 0.5)
    offset = (ball.sample(x, generator) - x).flatten(1)
    coordinates = offset @ basis.T
    torch.testing.assert_close(coordinates @ basis, offset, atol=1e-6, rtol=0)
    # of a solid ball of 4 dimensions, the share of the volume within a point's norm is uniform, and no direction is preferred
    share = np.sort((coordinates.norm(dim=1) / 0.3).numpy() ** 4)
    np.testing.assert_allclose(share, np.arange(4000) / 4000, atol=0.03)
    assert coordinates.mean(dim=0).abs().max() < 0.01
    ratio = coordinates.square().mean(dim=0) / coordinates.square().mean()
    torch.testing.assert_close(ratio, torch.ones(4), atol=0.1, rtol=0)
    drawn = [ball.sample(x, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_step_may_be_shorter_and_a_twin_bound_again(generator: torch.Generator) -> None:
    ball, _ = bound(0.4, "unclipped")
    x, gradient = torch.full((6, 1, 5, 5), 0.5), torch.randn(6, 1, 5, 5, generator=generator)
    whole, half = ball.steepest_ascent(gradient, x), ball.steepest_ascent(gradient, x, 0.2)
    torch.testing.assert_close(half, whole / 2)
    again = ball.for_examples(torch.arange(6) + 3)
    assert torch.equal(again.steepest_ascent(gradient, x), whole)
    unbound = make_uncertainty_set("tangent", radius=0.4).for_examples(torch.arange(6))
    with pytest.raises(InputError, match=r"^uncertainty set 'tangent' needs the examples' tangent"):
        unbound.steepest_ascent(gradient, x)


def test_every_image_needs_a_label() -> None:
    images, labels = pictures()
    with pytest.raises(InputError, match="60 images and 50 labels"):
        nearest_neighbours(images, labels[:50], 2)


def test_near_duplicates_are_told_apart() -> None:
    generator = torch.Generator().manual_seed(0)
    bright = torch.full((40, 1, 28, 28), 250, dtype=torch.uint8)
    images = bright + torch.randint(6, bright.shape, generator=generator, dtype=torch.uint8)
    found = nearest_neighbours(images, torch.zeros(40).long(), 5).long()
    whole = images.flatten(1).long()
    for index in range(40):
        distances = (whole - whole[index]).square().sum(dim=1)
        distances[index] = distances.max() + 1
        # of equals any may come first
        assert torch.equal(distances[found[index]], distances.sort().values[:5])
