"""The canvas that holds the whole of a warped picture."""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import require
from warpkit.geometry import check_size
from warpkit.pixels.thetas import SizeLike, from_theta, to_theta
from warpkit.precision import wide
from warpkit.transforms.given import TransformLike
from warpkit.transforms.matrix import reject

_ROUNDING = 1e-6  # pixels: an edge that lies so little beyond a pixel needs no further one


def bounds(
    transform: TransformLike, theta: Float[Tensor, "N *P"], in_size: SizeLike, *, align_corners: bool = False
) -> tuple[tuple[int, ...], Float[Tensor, "N P"]]:
    """The size of the output, and θ for it, that hold the whole of what an image becomes: nothing is cut off.

    Pixels keep their scale: θ is as it was, seen from another frame. `warp(image, transform, theta, size=size)` with
    what is returned is the picture. Of a batch it is one size for all, which holds each; of an empty one the input's.

    Args:
        transform: a matrix transform that has `from_matrix`. A wider frame is another scale in normalised coordinates,
            which `affine` and `projective` have, and "euclidean" and "similarity" have not.
        theta: `[N, P]`, of an output of the input's size.
        in_size: the input's size in pixels, rows first.
        align_corners: as in `warp`.

    Returns:
        The size, rows first, and θ, `[N, P]`.

    Raises:
        InputError: as `from_theta` and `to_theta`, and where a corner of the image lies on or behind the horizon, so
            that no canvas would hold it.

    >>> size, theta = bounds("affine", to_theta([[0, 1, 0], [-1, 0, 7]], in_size=(4, 8)), (4, 8))
    >>> size
    (8, 4)
    """
    require(isinstance(theta, Tensor), "theta", expected="a tensor [N, P]", given=theta)
    exact = theta.to(wide(theta.device))
    matrix = from_theta(exact, transform, in_size=in_size, align_corners=align_corners)
    d = matrix.shape[-1] - 1
    edges = [(-0.5, n - 0.5) for n in reversed(check_size(in_size, d))]
    if len(matrix) == 0:
        none = to_theta(matrix, transform, in_size=in_size, align_corners=align_corners)
        return check_size(in_size, d), none.to(theta.dtype)
    corners = matrix.new_tensor([[*corner, 1.0] for corner in itertools.product(*edges)])
    moved = corners @ matrix.mT
    w = moved[..., d:]
    reject("a corner of the image on or behind the horizon", ~((w * w[:, :1] > 0).all(1)[:, 0]))
    moved = moved[..., :d] / w
    low, high = (moved.detach().amin((0, 1)) + 0.5).tolist(), (moved.detach().amax((0, 1)) + 0.5).tolist()
    require(all(map(math.isfinite, [*low, *high])), "theta", expected="finite numbers", given=theta)
    extent = [max(1, math.ceil(b - a - _ROUNDING)) for a, b in zip(low, high, strict=True)]
    # In the middle of the canvas, so that a quarter turn, or a shift by whole pixels, reads whole pixels.
    start = [(a + b - n) / 2 for a, b, n in zip(low, high, extent, strict=True)]
    shift = torch.eye(d + 1, dtype=matrix.dtype, device=matrix.device)
    shift[:d, d] = -shift.new_tensor(start)
    size = tuple(reversed(extent))
    found = to_theta(shift @ matrix, transform, in_size=in_size, out_size=size, align_corners=align_corners)
    return size, found.to(theta.dtype)
