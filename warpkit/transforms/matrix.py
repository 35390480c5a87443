"""Transforms that are a matrix in homogeneous coordinates: composed by product, inverted, sampled without a grid."""

import functools
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError, require
from warpkit.geometry import perspective
from warpkit.precision import wide
from warpkit.transforms.base import Transform


class MatrixTransform(Transform):
    """T(p) = (M · [p, 1]) / w, with w the last row's; M = `matrix(theta)`, `[N, D+1, D+1]`.

    A subclass gives `ndim`, `num_params`, `matrix` and, where there is one, `identity`; optional `from_matrix(matrix)`,
    the θ of a matrix, which raises `InputError` outside the family. `matrix` is called with a float64 θ where there is
    one.

    Points on or behind the horizon (w ≤ 0) go to NaN.
    """

    is_matrix = True

    def matrix(self, theta: Float[Tensor, "N P"]) -> Float[Tensor, "N E E"]:
        """The matrix [N, D + 1, D + 1], in θ's dtype."""
        raise NotImplementedError(f"{type(self).__name__} has no formula: define matrix(self, theta)")

    def inverse(self, theta: Float[Tensor, "N *P"]) -> Float[Tensor, "N P"]:
        """The θ whose transform undoes this one's; `InputError` names batch entries whose matrix is singular."""
        theta = self.as_theta(theta)
        return self.from_matrix(invert(self.matrix(theta.to(wide(theta.device))))).to(theta.dtype)

    def forward(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """Multiply homogeneous points by the matrix, then divide by w."""
        exact = wide(points.device)
        return apply(checked_matrix(self, theta.to(exact)), points.to(exact), self.is_affine).to(points.dtype)

    def preimages(self, theta: Float[Tensor, "N P"], points: Float[Tensor, "B M D"]) -> Float[Tensor, "NB M D"]:
        """The inverse matrix's points: they lie before the horizon of one where they do for the other."""
        return apply(invert(checked_matrix(self, theta)), points, self.is_affine)


def checked_matrix(transform: Transform, theta: Tensor) -> Float[Tensor, "N E E"]:
    """The matrix of each θ; `InputError` where a plugin gives another shape."""
    matrix, e = transform.matrix(theta), transform.ndim + 1
    if matrix.ndim != 3 or matrix.shape[0] not in (1, theta.shape[0]) or matrix.shape[1:] != (e, e):
        expected, given = f"{[theta.shape[0], e, e]}", list(matrix.shape)
        raise InputError(f"{type(transform).__name__}.matrix", expected=expected, given=given)
    return matrix if matrix.shape[0] == theta.shape[0] else matrix.expand(theta.shape[0], e, e)


def check_matrix(matrix: Any, ndim: int) -> None:
    """Raise `InputError` unless matrix is [N, ndim + 1, ndim + 1]."""
    if not isinstance(matrix, Tensor) or matrix.ndim != 3 or matrix.shape[1:] != (ndim + 1, ndim + 1):
        given = list(matrix.shape) if isinstance(matrix, Tensor) else matrix
        raise InputError("matrix", expected=f"[N, {ndim + 1}, {ndim + 1}]", given=given)


def invert(matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N E E"]:
    """The inverse of each matrix; `InputError` names the batch entries that are singular (condition above 1e12)."""
    finite = matrix.detach().isfinite().all(dim=-1).all(dim=-1)
    # By the condition, not the determinant, which a scale changes; a NaN would end the decomposition with an error.
    values = torch.linalg.svdvals(torch.where(finite[:, None, None], matrix.detach(), 0.0))
    bad = ~(values[:, -1] > 1e-12 * values[:, 0])
    reject("singular matrix", bad)
    return torch.linalg.inv(matrix)  # type: ignore[no-any-return]


def logarithm(matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N E E"]:
    """The real logarithm of each matrix; `InputError` names batch entries that have none, as mirror images and half
    turns have none.

    Square roots until the matrix is near 1, then the series. E. D. Denman, A. N. Beavers, "The matrix sign function and
    computations in systems", 1976.
    """
    exact = matrix.to(wide(matrix.device))
    one = torch.eye(matrix.shape[-1], dtype=exact.dtype, device=matrix.device)
    root, halvings = exact, 0
    while halvings < 30 and bool(((root - one).abs() > 0.05).any()):
        y, z = root, one.expand_as(root)
        for _ in range(12):
            y, z = (y + torch.linalg.inv_ex(z)[0]) / 2, (z + torch.linalg.inv_ex(y)[0]) / 2
        root, halvings = y, halvings + 1
    rest, power = root - one, root - one
    found = power
    for k in range(2, 16):
        power = -power @ rest
        found = found + power / k
    found = found * 2**halvings
    back = torch.linalg.matrix_exp(found.nan_to_num(0, 0, 0))
    reject("no real logarithm", ~((back - exact).abs().amax((1, 2)) <= 1e-6 * exact.abs().amax((1, 2))))
    logarithms: Tensor = found.to(matrix.dtype)
    return logarithms


def apply(matrix: Float[Tensor, "N E E"], points: Float[Tensor, "B M D"], is_affine: bool) -> Float[Tensor, "NB M D"]:
    """The points after a matrix; NaN on and behind the horizon."""
    d = points.shape[-1]
    product = points @ matrix[:, :, :d].mT + matrix[:, None, :, d]
    if is_affine:
        return product[..., :d]
    *numerators, w = product.unbind(-1)
    return torch.stack(perspective(numerators, w), dim=-1)


def affine_part(matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N D E"]:
    """The first D rows of an affine matrix of any scale; `InputError` names the batch entries that are not affine."""
    d = matrix.shape[-1] - 1
    last = matrix[:, d, :].detach()
    # "not ≤" and not ">", so that a NaN is bad. A product of affine matrices keeps its zeros to rounding only.
    bad = ~((last[:, :d].abs().amax(-1) <= 1e-9 * last[:, d].abs()) & (last[:, d] != 0))
    reject("not an affine matrix", bad)
    return matrix[:, :d] / matrix[:, d:, d:]


def reject(what: str, bad: Bool[Tensor, " N"]) -> None:
    """Raise `InputError` that names the bad batch entries; nothing where their values cannot be read."""
    if not tracing.is_traced(bad) and bool(bad.any()):
        raise InputError(f"{what} in batch entries {bad.nonzero().flatten().tolist()}")


def scaled(matrix: Float[Tensor, "N E E"]) -> Float[Tensor, "N E E"]:
    """The same homography with 1 as its last entry; as it is where that entry is 0."""
    last = matrix[:, -1:, -1:]
    sound = last.detach().abs() > 1e-12 * matrix.detach().abs().amax((1, 2), keepdim=True)
    return torch.where(sound, matrix / torch.where(sound, last, 1.0), matrix)


def with_last_row(rows: Float[Tensor, "N D E"]) -> Float[Tensor, "N E E"]:
    """The matrix of these D rows, with 0 … 0 1 below them."""
    d = rows.shape[1]
    kept = not tracing.is_recording() and rows.device.type == "cpu"
    last = _last_row(d, rows.dtype) if kept else torch.eye(d + 1, dtype=rows.dtype, device=rows.device)[None, d:]
    return torch.cat([rows, last if rows.shape[0] == 1 else last.expand(rows.shape[0], 1, d + 1)], dim=1)


@functools.lru_cache(maxsize=16)
def _last_row(d: int, dtype: torch.dtype) -> Float[Tensor, "1 1 E"]:
    with tracing.constants():
        return torch.eye(d + 1, dtype=dtype)[None, d:]


def check_ndim(ndim: int) -> int:
    """The number itself; `InputError` unless it is 1, 2 or 3."""
    require(type(ndim) is int and ndim in (1, 2, 3), "ndim", expected="1, 2 or 3", given=ndim)
    return ndim
