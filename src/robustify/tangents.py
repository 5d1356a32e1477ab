"""Tangent planes of the data manifold, by local principal component analysis of each image's neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from tqdm import tqdm

from robustify.answers import device_of, require_tensors
from robustify.errors import InputError
from robustify.gradients import input_gradient
from robustify.limits import require_at_least
from robustify.machine.devices import full_precision
from robustify.modes import evaluation_mode
from robustify.uncertainty import TangentBall
from robustify.validity import require_bytes

# directions in which the neighbours hardly spread have no direction of their own
_LEAST_SHARE = 1e-10


def nearest_neighbours(
    images: Tensor, labels: Tensor, count: int, *, batch_size: int = 1000
) -> Tensor:
    """Return the indices of each image's nearest images of its own class, nearest first.

    Args:
        images: uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        count: neighbours an image.
        batch_size: images at a time.

    Returns:
        Indices, int32, shape (N, count). No image is its own neighbour.

    Raises:
        ValueError: if ``count`` is below 1, a class has too few images, or an image has no label.
    """
    require_at_least(1, neighbours=count)
    require_tensors(images=images, labels=labels)
    if labels.shape != (len(images),):
        raise InputError(
            f"there are {len(images)} images and {len(labels)} labels; each image must have one"
        )
    found = torch.empty((len(images), count), dtype=torch.int32)
    with tqdm(total=len(images), desc="neighbours", unit="image", mininterval=1) as bar:
        for label in labels.unique():
            members = (labels == label).nonzero()[:, 0]
            if len(members) <= count:
                raise InputError(
                    f"neighbours is {count}, but class {int(label)} has only {len(members)} images"
                )
            # whole numbers, whose squares float64 adds up exactly: near-duplicates differ by little
            flat = images[members].flatten(1).double()
            for own in torch.arange(len(members)).split(batch_size):
                distances = _squared_distances(flat[own], flat)
                distances[torch.arange(len(own)), own] = torch.inf
                nearest = distances.topk(count, dim=1, largest=False).indices
                found[members[own]] = members[nearest].to(torch.int32)
                bar.update(len(own))
    return found


def _squared_distances(some: Tensor, all_: Tensor) -> Tensor:
    squares = some.square().sum(dim=1)[:, None] + all_.square().sum(dim=1)
    return squares.addmm(some, all_.T, alpha=-2)


class TangentPlanes:
    """Orthonormal bases of the planes tangent to the data manifold at training images.

    The plane at x is spanned by the leading principal directions of its neighbours' offsets from x
    (local PCA, centred on x itself as in Singer and Wu, 2012). Bases are made for a batch when it
    is asked for: those of all images would fill gigabytes.

    Args:
        images: training images without augmentation, uint8, shape (N, C, H, W).
        neighbours: see :func:`nearest_neighbours`, shape (N, count).
        dimension: of the planes, d.

    Raises:
        ValueError: if there are fewer neighbours than dimensions, or not a row of them an image.
    """

    def __init__(self, images: Tensor, neighbours: Tensor, *, dimension: int) -> None:
        if not 1 <= dimension <= neighbours.shape[1]:
            raise InputError(
                f"dimension is {dimension}; it must be from 1 to the {neighbours.shape[1]} neighbours"
            )
        if len(images) != len(neighbours):
            raise InputError(
                f"there are neighbours of {len(neighbours)} images, but {len(images)} images"
            )
        self._flat = images.flatten(1)
        self._neighbours = neighbours
        self.dimension = dimension

    def __call__(self, indices: Tensor) -> Tensor:
        """Return the bases at the images of these indices, float32, shape (N, d, D).

        Where neighbours span fewer than d dimensions, the last rows are zero.
        """
        device = indices.device
        here = indices.to(self._flat.device)
        around = self._flat[self._neighbours[here].long()].to(device)
        centre = self._flat[here].to(device)
        with torch.autocast(device.type, enabled=False):
            offsets = (around.double() - centre.double()[:, None]).div_(255)
            spread, combinations = torch.linalg.eigh(offsets @ offsets.transpose(1, 2))
            spread = spread.flip(1)[:, : self.dimension]
            combinations = combinations.flip(2)[:, :, : self.dimension]
            directions = combinations.transpose(1, 2) @ offsets
            there = spread > _LEAST_SHARE * spread[:, :1]
            length = spread.where(there, torch.ones_like(spread)).sqrt()
            bases: Tensor = directions * (there / length)[:, :, None]
            return bases.float()


def clipping_loss(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    planes: TangentPlanes,
    *,
    radius: float,
    count: int = 2000,
    batch_size: int = 500,
) -> dict[str, float]:
    """Return what clipping the tangential ascent step to the pixel box changes, on evenly spaced images.

    Args:
        net: maps images in [0, 1] to logits; run in eval mode.
        images: training images, uint8, shape (N, C, H, W).
        labels: true classes, int64, shape (N,).
        planes: tangent to the manifold at these images.
        radius: of the set, in pixel units of the [0, 1] scale.
        count: images looked at.
        batch_size: images a pass.

    Returns:
        ``clipped_length``, the mean l2 norm of the clipped step as a share of the radius, and
        ``off_plane``, the mean share of the clipped step's own norm that is orthogonal to the plane;
        0 if no step went anywhere.

    Raises:
        ValueError: if images aren't uint8, there are none, or a count is below 1.
    """
    require_at_least(1, count=count, batch_size=batch_size)
    require_bytes(images)
    if len(images) == 0:
        raise InputError("there are no images to take steps from")
    device = device_of(net)
    chosen = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
    lengths, shares = [], []
    with evaluation_mode(net), full_precision():
        for batch in chosen.split(batch_size):
            x = images[batch].to(device).float().div_(255)
            ball = TangentBall(radius=radius, bases=planes).for_examples(batch.to(device))
            gradient = input_gradient(net, x, labels[batch].to(device))
            step = ball.steepest_ascent(gradient, x).flatten(1)
            length = step.norm(dim=1)
            moved = length > 0
            lengths.append(length / radius)
            shares.append((step - ball.onto_plane(step)).norm(dim=1)[moved] / length[moved])
    return {
        "clipped_length": float(torch.cat(lengths).mean()),
        "off_plane": float(share.mean()) if len(share := torch.cat(shares)) else 0.0,
    }
