"""Rotations as the transforms that turn need them: of any aspect, from few numbers and back."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.component import as_number
from warpkit.errors import require
from warpkit.transforms.matrix import MatrixTransform, affine_part, reject

Aspect = float | Sequence[float]
_NEAR = 0.1  # of a squared angle: below it a series is exact to the last bit


def check_aspect(aspect: Aspect, ndim: int) -> tuple[float, ...]:
    """The extents of an image along x, y, z; one number counts for x, and the others are 1.

    Raises `InputError` unless they are as many as there are dimensions, finite and positive.
    """
    each = tuple(aspect) if isinstance(aspect, Sequence) and not isinstance(aspect, str) else (aspect, 1.0, 1.0)[:ndim]
    each = tuple(map(as_number, each))
    right = len(each) == ndim and all(isinstance(a, int | float) and 1e-6 < a < 1e6 for a in each)
    named = ("W", "H", "D")[:ndim]
    require(right, "aspect", expected=f"W / H of the image, or its extents {', '.join(named)}", given=aspect)
    return tuple(float(a) for a in each)


def in_pixels(square: Float[Tensor, "N D D"], aspect: tuple[float, ...]) -> Float[Tensor, "N D D"]:
    """A linear map of normalised coordinates, as it is where a unit is the same length along each axis."""
    extent = square.new_tensor(aspect)
    return square * (extent[:, None] / extent)


def normalised(square: Float[Tensor, "N D D"], aspect: tuple[float, ...]) -> Float[Tensor, "N D D"]:
    """The way back of `in_pixels`."""
    extent = square.new_tensor(aspect)
    return square * (extent / extent[:, None])


def plane(cos: Float[Tensor, " N"], sin: Float[Tensor, " N"]) -> Float[Tensor, "N 2 2"]:
    """The matrix [[cos, −sin], [sin, cos]]."""
    return torch.stack([cos, -sin, sin, cos], dim=-1).reshape(-1, 2, 2)


def rotation(vector: Float[Tensor, "N 3"]) -> Float[Tensor, "N 3 3"]:
    """The rotation about this vector by an angle of its length: 1 + A·K + B·K², A = sin(a) / a, B = (1 − cos(a)) / a².

    O. Rodrigues, "Des lois géométriques qui régissent les déplacements d'un système solide", 1840.
    """
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(-1, 3, 3)
    q = vector.square().sum(-1)[:, None, None]
    # Both are smooth in q = a², but a itself is not: at 0 its slope would be NaN.
    near = q < _NEAR
    small, a = torch.where(near, q, 0.0), torch.where(near, 1.0, q).sqrt()
    first = torch.where(near, _series(small, (1, 6, 120, 5040, 362880, 39916800, 6227020800)), a.sin() / a)
    second = torch.where(
        near, _series(small, (2, 24, 720, 40320, 3628800, 479001600, 87178291200)), (1 - a.cos()) / a**2
    )
    return torch.eye(3, dtype=vector.dtype, device=vector.device) + first * k + second * (k @ k)


def _series(q: Tensor, factorials: tuple[int, ...]) -> Tensor:
    total = torch.zeros_like(q)
    for n, factorial in reversed(list(enumerate(factorials))):
        total = total * q + (-1) ** n / factorial
    return total


def rotation_vector(matrix: Float[Tensor, "N 3 3"]) -> Float[Tensor, "N 3"]:
    """The vector of a rotation, of a length up to π; any of both for half a turn.

    By way of the quaternion whose largest part is found first, so that no turn loses digits.
    S. W. Shepperd, "Quaternion from rotation matrix", 1978.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in matrix.unbind(-2))
    rows = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, zy - yz, xz - zx, yx - xy], dim=-1),
            torch.stack([zy - yz, 1 + xx - yy - zz, yx + xy, xz + zx], dim=-1),
            torch.stack([xz - zx, yx + xy, 1 - xx + yy - zz, zy + yz], dim=-1),
            torch.stack([yx - xy, xz + zx, zy + yz, 1 - xx - yy + zz], dim=-1),
        ],
        dim=1,
    )  # each is the quaternion, times four times one of its parts
    largest = rows.detach().diagonal(dim1=1, dim2=2).argmax(-1)
    row = rows.gather(1, largest[:, None, None].expand(-1, 1, 4))[:, 0]
    row = row * torch.where(row[:, :1].detach() < 0, -1.0, 1.0)
    row = row / row.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    w, axis = row[:, :1], row[:, 1:]
    q = axis.square().sum(-1, keepdim=True)
    near = q < 1e-4
    n, safe = torch.where(near, 1.0, q).sqrt(), torch.where(near, w, 1.0)
    ratio = torch.where(near, q, 0.0) / safe.square()
    angle = 2 / safe * (1 - ratio / 3 + ratio.square() / 5 - ratio**3 / 7)
    vector: Tensor = axis * torch.where(near, angle, 2 * torch.atan2(n, w) / n)
    return vector


class Turning(MatrixTransform):
    """What transforms with a rotation share: that an image has an aspect, and two dimensions or three."""

    is_affine = True

    def __init__(self, aspect: Aspect = 1.0, ndim: int = 2) -> None:
        super().__init__()
        require(ndim in (2, 3), "ndim", expected="2 or 3: nothing turns in 1-D", given=ndim)
        self.aspect = check_aspect(aspect, ndim)
        self.ndim = ndim


def family(
    transform: MatrixTransform, what: str, theta: Float[Tensor, "N P"], matrix: Float[Tensor, "N E E"]
) -> Float[Tensor, "N P"]:
    """θ itself; `InputError` names the batch entries of which it does not give the matrix back."""
    rows, d = affine_part(matrix).detach(), transform.ndim
    made = transform.matrix(theta.detach())[:, :d]
    # Relative to the matrix's own size; 1e-6 forgives one that came out of float32.
    reject(what, ~((made - rows).abs().amax((1, 2)) <= 1e-6 * rows.abs().amax((1, 2))))
    return theta
