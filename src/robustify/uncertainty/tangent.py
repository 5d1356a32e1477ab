"""The tangent plane of the data manifold."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from robustify.errors import InputError
from robustify.uncertainty.base import Step, UncertaintySet, positive_radius
from robustify.uncertainty.directions import scaled_to_one
from robustify.uncertainty.sampling import uniform


class TangentBall(UncertaintySet):
    """Tangent plane of the data manifold ∩ l2 ball around x (Eqs. 12 and 13).

    The ascent step is the gradient's projection onto the plane, at length r. Over plane ∩ ball ∩
    pixel box it has no closed form, so there is no box-aware step.

    Args:
        radius: in pixel units of the [0, 1] scale.
        step: ``literal`` clips the step to the pixel box, which takes it off the plane;
            ``unclipped`` stays in the plane and may leave the box.
        bases: maps indices of training examples, int64 (N,), to orthonormal bases of their planes,
            shape (N, d, D), see :class:`robustify.tangents.TangentPlanes`.

    Raises:
        ValueError: if the radius isn't a positive finite number or the step is unknown.
    """

    name = "tangent"

    def __init__(
        self,
        *,
        radius: float,
        step: Step = "literal",
        bases: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.radius = positive_radius(self.name, radius)
        if step not in ("literal", "unclipped"):
            raise InputError(f"step of {self.name!r} is {step!r}; known: literal, unclipped")
        self.step: Step = step
        self._bases = bases
        self._basis: Tensor | None = None

    def for_examples(self, indices: Tensor) -> TangentBall:
        twin = TangentBall(radius=self.radius, step=self.step, bases=self._bases)
        twin._basis = None if self._bases is None else self._bases(indices)
        return twin

    def steepest_ascent(self, gradient: Tensor, x: Tensor, length: float | None = None) -> Tensor:
        length = self.radius if length is None else length
        tangential = scaled_to_one(self.onto_plane(scaled_to_one(gradient.flatten(1))))
        norm = tangential.norm(dim=1, keepdim=True)
        unit = tangential / norm.where(norm > 0, torch.ones_like(norm))
        return self._in_box(x + (length * unit).view_as(x)) - x

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """Return the nearest point of plane ∩ ball, then clipped to the box if the step is literal."""
        offset = self.onto_plane((candidate - x).flatten(1))
        norm = offset.norm(dim=1, keepdim=True)
        shrunk = offset * (self.radius / norm.clamp(min=self.radius))
        return self._in_box(x + shrunk.view_as(x))

    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        basis = self._require_basis()
        coordinates = torch.randn(
            basis.shape[:2], generator=generator, device=x.device, dtype=x.dtype
        )
        share = uniform(coordinates[:, :1], generator) ** (1 / basis.shape[1])
        unit = coordinates / coordinates.norm(dim=1, keepdim=True)
        with torch.autocast(x.device.type, enabled=False):
            offset = torch.einsum("nd,ndp->np", self.radius * share * unit, basis)
        return self._in_box(x + offset.view_as(x))

    def onto_plane(self, offset: Tensor) -> Tensor:
        """Return the orthogonal projection of offsets from x onto the plane; (N, D) to (N, D)."""
        basis = self._require_basis()
        # products would be rounded to bfloat16 in training
        with torch.autocast(offset.device.type, enabled=False):
            coordinates = torch.einsum("ndp,np->nd", basis, offset.float())
            return torch.einsum("nd,ndp->np", coordinates, basis)

    def _in_box(self, candidate: Tensor) -> Tensor:
        return candidate if self.step == "unclipped" else candidate.clamp(0, 1)

    def _require_basis(self) -> Tensor:
        if self._basis is None:
            raise InputError("uncertainty set 'tangent' needs the examples' tangent planes")
        return self._basis
