"""Transforms that are linear in coefficients of θ: a basis on a lattice, computed once, times a small matrix."""

import math
import weakref
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.component import edits_of
from warpkit.geometry import Part, lattice
from warpkit.precision import wide, working
from warpkit.transforms.base import Transform
from warpkit.transforms.vectors import filled

_KEPT = 8  # lattices for each transform
# Beside the module, so that no copy, pickle or state_dict holds it.
_bases: weakref.WeakKeyDictionary[Transform, dict[Any, tuple[list[Tensor], Tensor]]] = weakref.WeakKeyDictionary()


class BasisTransform(Transform):
    """T(p) = p + basis(p) · coefficients(θ): splines, free-form and polynomial warps.

    A subclass gives `ndim`, `num_params`, `identity`, `basis` and `coefficients`. The coefficients are zero at the
    identity, so that it is exact: a product that has to give p itself misses it by rounding.
    """

    def basis(self, points: Float[Tensor, "B M D"]) -> Float[Tensor, "B M K"]:
        """The values of the K basis functions at each point."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: define basis(self, points)")

    def coefficients(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N K D"]:
        """The coefficients: how far each basis function moves a point, along each axis."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: define coefficients(self, theta)")

    def forward(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """The formula T(p) = p + basis(p) · coefficients(θ)."""
        # p is added, not part of the product: the identity then moves no point by rounding.
        return points + self.basis(points).to(points.dtype) @ self.coefficients(theta).to(points.dtype)

    def shifts(self, theta: Tensor, size: tuple[int, ...], align_corners: bool, part: Part | None = None) -> Tensor:
        """The shift basis · coefficients(θ) of each pixel of an output of this size, [N, *size, D], or of a part."""
        theta = self.as_theta(theta)
        dtype = working(theta.dtype)
        learns = any(p.requires_grad or tracing.is_traced(p) for p in tracing.tensors(self))
        if part is not None or tracing.is_recording() or learns:  # of many parts none is met again
            points = (part or Part.all_of(size)).lattice(align_corners, wide(theta.device), theta.device)
            basis = self.basis(filled(points.reshape(1, -1, len(size))))[0].to(dtype)
        else:
            basis = _lattice_basis(self, size, align_corners, dtype, theta.device)
        moved = torch.einsum("mk,nkd->nmd", basis, self.coefficients(theta.to(dtype)).to(dtype))
        asked = size if part is None else part.size
        return moved[:, : math.prod(asked)].reshape(-1, *asked, self.ndim)


def _lattice_basis(
    transform: BasisTransform, size: tuple[int, ...], align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "M K"]:
    """The basis at the lattice's points, computed in float64 and kept until the transform or its buffers change."""
    with tracing.constants():
        buffers = tracing.tensors(transform)
        state = tuple((t.data_ptr(), None if t.is_inference() else t._version) for t in buffers)
        key = (size, align_corners, dtype, device, edits_of(transform), state)
        kept = _bases.setdefault(transform, {})
        if key not in kept:
            points = lattice(size, align_corners=align_corners, dtype=wide(device), device=device)
            basis = transform.basis(filled(points.reshape(1, -1, len(size))))[0].to(dtype)
            while len(kept) >= _KEPT:
                kept.pop(next(iter(kept)))
            kept[key] = ([t.detach() for t in buffers], basis)  # held, so that no other tensor gets their address
        return kept[key][1]
