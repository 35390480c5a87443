"""Free-form deformation: a cubic B-spline of control points on a grid."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import require
from warpkit.geometry import check_size, lattice
from warpkit.kernels.bspline import BSpline
from warpkit.precision import default
from warpkit.transforms.base import check_flat
from warpkit.transforms.field import FieldTransform, affine_shifts


class FreeForm(FieldTransform):
    """A smooth (C²) deformation: each control point pulls its neighbourhood along.

    θ is how far each control point moves, x y (z), row by row; zero is the identity. `grid`: control points along each
    axis, rows first, or one number for all, at least 2; they lie evenly over −1 … 1. Beyond the edge they go on in a
    straight line, by one more control point, so that every affine displacement is exactly one of these; farther out
    they stay as they are.

    D. Rueckert et al., "Nonrigid registration using free-form deformations", IEEE TMI 18(8), 1999, eq. 4 to 6.
    """

    is_field = False
    is_linear = True

    def __init__(self, grid: int | Sequence[int] = 4, ndim: int | None = None) -> None:
        grid = check_size(grid, (ndim or 2) if isinstance(grid, int) else None)
        require(min(grid) >= 2, "grid", expected="at least 2 control points along each axis", given=grid)
        require(ndim in (None, len(grid)), "ndim", expected=f"{len(grid)}, as many as grid has axes", given=ndim)
        super().__init__(len(grid), kernel=BSpline(prefilter=False), align_corners=True)
        self.grid = grid

    @property
    def num_params(self) -> int:  # type: ignore[override]
        """D for each control point."""
        return self.ndim * torch.Size(self.grid).numel()

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names x1, y1, x2, … of the control points' displacements."""
        return tuple(f"{axis}{i + 1}" for i in range(self.num_params // self.ndim) for axis in "xyz"[: self.ndim])

    @property
    def theta_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """How far each control point moves, x y (z)."""
        return torch.Size(self.grid).numel(), self.ndim

    def identity(self, size: Any = None) -> Float[Tensor, " P"]:
        """No displacement of any control point: zeros [P]."""
        return torch.zeros(self.num_params, dtype=default())

    def from_matrix(self, matrix: Float[Tensor, "N E E"], size: Any = None) -> Float[Tensor, "N P"]:
        """The θ of an affine map, which is exact within the grid."""
        return affine_shifts(matrix, self.grid, self.align_corners).flatten(1)

    def check_theta(self, theta: Any) -> None:
        """Raise `InputError` unless theta is a floating-point tensor [N, num_params]."""
        check_flat(self, theta)

    def anchors(self) -> Float[Tensor, "K D"]:
        """The places at which the control points lie."""
        return lattice(self.grid, align_corners=True, dtype=torch.float64).reshape(-1, self.ndim)

    def displacement(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N D *F"]:
        """The control points, and one more beyond each end of every axis."""
        field = theta.reshape(theta.shape[0], *self.grid, self.ndim).movedim(-1, 1)
        for axis in range(2, field.ndim):
            n = field.shape[axis]
            first, second, before, last = (field.narrow(axis, i, 1) for i in (0, 1, n - 2, n - 1))
            field = torch.cat([2 * first - second, field, 2 * last - before], dim=axis)
        return field

    def extent(self, size: tuple[int, ...]) -> tuple[float, ...]:
        """One more control point beyond each edge."""
        return tuple((n - 1) / (n - 3) for n in reversed(size))

    def spec_options(self) -> dict[str, Any]:
        """The options that would make this transform again: the grid alone."""
        return {"grid": list(self.grid)}
