"""Matrices of pixels as θ of a matrix transform, and θ as matrices of pixels."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import InputError, require
from warpkit.geometry import check_size, half_extent, index_to_normalised
from warpkit.pixels.given import ArrayLike, matrices
from warpkit.precision import wide
from warpkit.transforms.base import Transform, transforms
from warpkit.transforms.given import TransformLike, dimensions_of
from warpkit.transforms.matrix import checked_matrix, invert, scaled

SizeLike = int | Sequence[int]


def to_theta(
    matrix: ArrayLike,
    transform: TransformLike = "affine",
    *,
    in_size: SizeLike,
    out_size: SizeLike | None = None,
    align_corners: bool = False,
) -> Float[Tensor, "N P"]:
    """θ of a matrix that moves input pixels to output pixels, the first pixel's centre at 0, 0: OpenCV's and kornia's.

    The inverse of one that goes the other way (scikit-image's `warp`, `cv2.WARP_INVERSE_MAP`) is such a matrix.

    Args:
        matrix: `[N, 2, 3]` or `[N, 3, 3]` (in 3-D `[N, 3, 4]` or `[N, 4, 4]`), or without N; a tensor, an
            array or lists. A homography may have any scale, a negative one too.
        transform: a matrix transform that has `from_matrix`, by name, as a table or as an object.
        in_size: the input's size in pixels, rows first.
        out_size: the output's; the input's unless given.
        align_corners: as in the `warp` that gets θ; the result is the same picture either way.

    Returns:
        `[N, P]` of the matrix's type, float32 at least; of lists in float64. Differentiable.

    Raises:
        InputError: for a wrong shape or size, a singular matrix, and one that is not of this family, with its entries
            of the batch.

    >>> to_theta([[1, 0, 2], [0, 1, 0]], in_size=(4, 8)).tolist()  # two pixels to the right
    [[1.0, 0.0, -0.5, 0.0, 1.0, 0.0]]
    """
    square = matrices(matrix)
    d = square.shape[-1] - 1
    mapping, start, end = _prepared(transform, d, square, in_size, out_size, align_corners)
    inverse = invert(square.to(wide(square.device)))
    matrix = normalised(inverse, start, end, align_corners)
    try:
        return mapping.from_matrix(matrix).to(square.dtype)
    except InputError as error:
        raise error.hinting(_sides(mapping, start, align_corners)) from None


def from_theta(
    theta: Float[Tensor, "N *P"],
    transform: TransformLike = "affine",
    *,
    in_size: SizeLike,
    out_size: SizeLike | None = None,
    align_corners: bool = False,
) -> Float[Tensor, "N E E"]:
    """The matrix that moves input pixels to output pixels, the first pixel's centre at 0, 0, as OpenCV and kornia do.

    The way back of `to_theta`, with the same arguments.

    Returns:
        `[N, D + 1, D + 1]` of θ's type; a homography's last entry is 1 where it can be. Differentiable.

    Raises:
        InputError: for a wrong shape or size, a transform that is no matrix, and a singular one.

    >>> from_theta(torch.tensor([[1.0, 0, -0.5, 0, 1, 0]]), in_size=(4, 8))[0, :2].tolist()
    [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    """
    require(isinstance(theta, Tensor), "theta", expected="a tensor [N, P]", given=theta)
    d = dimensions_of(transform, theta, in_size) or len(check_size(in_size))
    mapping, start, end = _prepared(transform, d, theta, in_size, out_size, align_corners)
    theta = mapping.as_theta(theta)
    exact = checked_matrix(mapping, theta.to(wide(theta.device)))
    back = pixels_of(start, align_corners, exact) @ exact @ _normalised_of(end, align_corners, exact)
    return scaled(invert(back)).to(theta.dtype)


def normalised(
    inverse: Float[Tensor, "N E E"], in_size: tuple[int, ...], out_size: tuple[int, ...], align_corners: bool
) -> Float[Tensor, "N E E"]:
    """The matrix of normalised coordinates for one that moves output pixels to input pixels."""
    return _normalised_of(in_size, align_corners, inverse) @ inverse @ pixels_of(out_size, align_corners, inverse)


def _prepared(
    transform: TransformLike, ndim: int, like: Tensor, in_size: Any, out_size: Any, align_corners: bool
) -> tuple[Transform, tuple[int, ...], tuple[int, ...]]:
    """The transform, and the sizes of input and output, rows first."""
    require(isinstance(align_corners, bool), "align_corners", expected="True or False", given=align_corners)
    mapping = transforms.shared(transform, like.device, ndim=ndim)
    require(mapping.is_matrix, "transform", expected="one that is a matrix", given=type(mapping).__name__)
    require(mapping.ndim == ndim, "transform", expected=f"one in {ndim}-D, as the matrix", given=mapping.ndim)
    start = check_size(in_size, ndim)
    return mapping, start, start if out_size is None else check_size(out_size, ndim)


def _normalised_of(size: tuple[int, ...], align_corners: bool, like: Tensor) -> Float[Tensor, "E E"]:
    """The matrix that makes normalised coordinates of pixels."""
    scales = [index_to_normalised(n, align_corners)[0] for n in reversed(size)]
    return _axes(scales, [scale * (1 - n) / 2 for scale, n in zip(scales, reversed(size), strict=True)], like)


def pixels_of(size: tuple[int, ...], align_corners: bool, like: Tensor) -> Float[Tensor, "E E"]:
    """The matrix that makes pixels of normalised coordinates."""
    halves = [half_extent(n, align_corners) for n in reversed(size)]
    return _axes(halves, [(n - 1) / 2 for n in reversed(size)], like)


def _axes(scales: list[float], shifts: list[float], like: Tensor) -> Float[Tensor, "E E"]:
    matrix = torch.diag(like.new_tensor([*scales, 1.0]))
    matrix[:-1, -1] = like.new_tensor(shifts)
    return matrix


def _sides(mapping: Transform, size: Sequence[int], align_corners: bool) -> str:
    """What to say of a turn of pixels to a transform that was made for another aspect."""
    given = getattr(mapping, "aspect", None)
    if given is None:
        return "Other families hold more: affine, and projective for a homography."
    halves = [half_extent(n, align_corners) for n in reversed(size)]
    aspect = halves[0] / halves[1] if len(halves) == 2 else "the sides' ratios"
    return f"Was it made for these pixels? A turn of them is one with aspect={aspect}; this one has {given}."
