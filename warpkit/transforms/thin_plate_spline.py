"""The thin-plate spline: the smoothest mapping through control points."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError, require
from warpkit.geometry import check_size, lattice
from warpkit.precision import KeepsPrecision, default, wide
from warpkit.quoting import Told
from warpkit.transforms.basis import BasisTransform
from warpkit.transforms.handles import check_handles

_MOST = 1024  # control points


class ThinPlateSpline(KeepsPrecision, BasisTransform):
    """The smoothest mapping that takes each control point to where θ says it is sampled from.

    `grid`: rows and columns of control points, or one number for both, evenly over −1 … 1, listed row by row; or
    `points`: any list of [x, y].
    θ is x y for each control point; the identity is the control points themselves.

    The linear system is solved once, when the spline is built. Raises `InputError` for coinciding or collinear points.

    F. Bookstein, "Principal warps: thin-plate splines and the decomposition of deformations", IEEE TPAMI 11(6), 1989.
    """

    ndim = 2
    control: Tensor
    solved: Tensor

    def __init__(
        self, grid: int | Sequence[int] = (4, 4), points: Sequence[Sequence[float]] | Tensor | None = None
    ) -> None:
        super().__init__()
        with tracing.constants():
            control = _on_grid(grid) if points is None else _as_points(points)
            solved = _solve(control)
        self.num_params = control.numel()
        self.keep("control", control)
        self.keep("solved", solved)

    @property
    def param_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names x1, y1, x2, … of the control points' coordinates."""
        return tuple(f"{axis}{i + 1}" for i in range(self.num_params // 2) for axis in "xy")

    @property
    def theta_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """Where each control point is sampled from, x y."""
        return len(self.control), 2

    def identity(self) -> Float[Tensor, " P"]:
        """The identity's θ, which is the control points themselves."""
        return self.control.flatten().to(default(), copy=True)

    def anchors(self) -> Float[Tensor, "K 2"]:
        """The control points, which θ says where to sample."""
        return self.control

    def handles(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "N K 2"]:
        """Where the control points are sampled from, which is θ itself."""
        theta = self.as_theta(theta)
        return theta.reshape(theta.shape[0], len(self.control), 2)

    def from_handles(self, handles: Float[Tensor, "N K 2"]) -> Float[Tensor, "N P"]:
        """The handles, one after the other."""
        check_handles(self, handles, len(self.control))
        return handles.flatten(1)

    def basis(self, points: Float[Tensor, "B M 2"]) -> Float[Tensor, "B M K"]:
        """A cardinal function for each control point: 1 there, 0 at the others (well conditioned in float32 too)."""
        p = points.to(wide(points.device))
        one = torch.ones_like(p[..., :1])
        return (torch.cat([_bending(p, self.control.to(p)), one, p], dim=-1) @ self.solved.to(p)).to(points.dtype)

    def coefficients(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N K 2"]:
        """The distance that each control point moves, along each axis."""
        return theta.reshape(theta.shape[0], len(self.control), 2) - self.control.to(theta)


def _bending(points: Float[Tensor, "*B M 2"], control: Float[Tensor, "K 2"]) -> Float[Tensor, "*B M K"]:
    """The bending function U(r) = r² log r at each point's distance from each control point."""
    squared = (points[..., None, :] - control).square().sum(dim=-1)
    # log r is half of log r², which saves the root and its gradient, infinite at 0.
    # r² log r and its gradient are 0 at r = 0, where log alone is −∞: the logarithm never sees that zero.
    return squared * torch.log(torch.where(squared > 0, squared, 1.0)) / 2


def _solve(control: Float[Tensor, "K 2"]) -> Float[Tensor, "K+3 K"]:
    """The weights and the affine part, [w; a], for a unit step of each point: [[U, P], [Pᵀ, 0]] · [w; a] = [1; 0]."""
    k = len(control)
    affine = torch.cat([torch.ones(k, 1, dtype=control.dtype), control], dim=1)
    system = torch.cat(
        [
            torch.cat([_bending(control, control), affine], dim=1),
            torch.cat([affine.T, torch.zeros(3, 3, dtype=control.dtype)], dim=1),
        ]
    )
    solution: Tensor = torch.linalg.solve(system, torch.eye(k + 3, k, dtype=control.dtype))
    return solution.contiguous()  # by columns, a product with it would round odd points otherwise than even ones


def _on_grid(grid: int | Sequence[int]) -> Float[Tensor, "K 2"]:
    try:
        size = check_size(grid, 2)
    except InputError:
        size = (0, 0)
    require(min(size) >= 2, "grid", expected="(rows, cols), each at least 2", given=grid)
    most = f"at most {_MOST} control points, whose linear system is solved at once"
    require(size[0] * size[1] <= _MOST, "grid", expected=most, given=grid)
    return lattice(size, align_corners=True, dtype=torch.float64).reshape(-1, 2)


def _as_points(points: Sequence[Sequence[float]] | Tensor) -> Float[Tensor, "K 2"]:
    try:
        control = torch.as_tensor(points, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError("points", expected="a list of [x, y]", given=points) from error
    shaped = control.ndim == 2 and control.shape[1] == 2 and len(control) >= 3 and bool(control.isfinite().all())
    require(shaped, "points", expected="at least three finite [x, y]", given=Told(f"shape {list(control.shape)}"))
    size = float((control - control.mean(0)).norm(dim=1).max())
    near = torch.cdist(control, control).fill_diagonal_(torch.inf) <= 1e-6 * size
    pairs = [(int(i), int(j)) for i, j in near.nonzero() if i < j]
    require(not pairs, f"points: {pairs[:3]} coincide" if pairs else "")
    spread = torch.linalg.svdvals(control - control.mean(0))
    require(bool(spread[1] > 1e-6 * spread[0]), "points: collinear, so that they say nothing about the other direction")
    return control
