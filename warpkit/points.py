"""Points of an image follow it into its warped output: landmarks, corners, tracks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import InputError, require, unknown
from warpkit.geometry import UNITS, Units, check_floats, check_size, to_normalised, to_pixels
from warpkit.precision import wide
from warpkit.quoting import Told
from warpkit.transforms.base import Transform, transforms
from warpkit.transforms.given import TransformLike

SizeLike = int | Sequence[int]


def warp_points(
    points: Tensor,
    transform: TransformLike,
    theta: Any,
    *,
    units: Units = "normalized",
    in_size: SizeLike | None = None,
    out_size: SizeLike | None = None,
    align_corners: bool = False,
) -> Tensor:
    """Where points of the input land in the output that `warp` makes with the same transform and θ.

    Images pull, points push: `warp` samples an output pixel p at T(p), so a point y of the input is seen at T⁻¹(y).

    Args:
        points: `[N, M, D]`, floating-point, x, y, z. One set of points with N θ, or one θ with N sets, is shared.
        transform: a name, a table `{"type": name, **options}` or a `Transform`.
        theta: the transform's parameters, as `warp` takes them.
        units: "normalized", −1 … 1 over the image; or "pixels", where the first pixel's centre is 0.
        in_size: the input's size in pixels, rows first; needed with pixels, and without effect otherwise.
        out_size: the output's; the input's unless given.
        align_corners: as in `warp`. Of normalised points it changes nothing but how a field that is given by its name,
            or a table, is aligned.

    Returns:
        `[N, M, D]` in the same units, in float32 at least. A point that leaves the picture has coordinates beyond its
        edge. NaN for a point without a certified preimage (`Transform.inverse_points`): it is folded over, or not
        before the horizon. Differentiable in θ and points, to second order.

    Raises:
        InputError: for a wrong shape, type, device, size, name or option, and for a singular matrix.

    >>> right = torch.tensor([[1.0, 0, 0.5, 0, 1, 0]])  # samples a quarter of the width to the right
    >>> warp_points(torch.tensor([[[3.0, 1.0]]]), "affine", right, units="pixels", in_size=(4, 4)).tolist()
    [[[2.0, 1.0]]]
    """
    check_floats("points", points)
    ndim = points.shape[-1] if points.ndim > 2 else 0
    hint = "Is the batch missing: points[None]?" if points.ndim == 2 else ""
    require(1 <= ndim <= 3, "points", expected="[N, M, D] with D of 1 to 3", given=list(points.shape), hint=hint)
    frame = frame_of(units, in_size, out_size, align_corners, ndim)
    mapping = mapping_of(transform, ndim, points, align_corners)
    kind = mapping(theta, points[:, :0]).dtype  # checks θ
    landed = mapping.inverse_points(theta, frame.normalised(points.to(wide(points.device))))
    return frame.seen(landed).to(kind)


class Frame(NamedTuple):
    """What points are counted in: pixels of images of these sizes (rows first), or normalised where there are none."""

    in_size: tuple[int, ...] | None
    out_size: tuple[int, ...] | None
    align_corners: bool

    def normalised(self, points: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Points of the input, normalised."""
        if self.in_size is None:
            return points
        axes = zip(points.unbind(-1), reversed(self.in_size), strict=True)
        return torch.stack([to_normalised(x, n, self.align_corners) for x, n in axes], dim=-1)

    def seen(self, points: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Normalised points of the output, in its pixels."""
        if self.out_size is None:
            return points
        axes = zip(points.unbind(-1), reversed(self.out_size), strict=True)
        return torch.stack([to_pixels(x, n, self.align_corners) for x, n in axes], dim=-1)


def frame_of(units: Any, in_size: Any, out_size: Any, align_corners: Any, ndim: int) -> Frame:
    """The frame for these options. `InputError` for unknown units, for pixels without a size and for a wrong size."""
    if units not in UNITS:
        raise unknown("units", units, UNITS)
    require(isinstance(align_corners, bool), "align_corners", expected="True or False", given=align_corners)
    sizes = [None if size is None else check_size(size, ndim) for size in (in_size, out_size)]
    if units == "normalized":
        return Frame(None, None, align_corners)
    if sizes[0] is None:
        raise InputError("in_size", expected='the size of the image, rows first, with units="pixels"', given=None)
    return Frame(sizes[0], sizes[1] or sizes[0], align_corners)


def mapping_of(transform: TransformLike, ndim: int, like: Tensor, align_corners: bool) -> Transform:
    """The transform for points in `ndim` dimensions, on their device; a field by name is aligned as its warp is."""
    mapping = transforms.shared(transform, like.device, ndim=ndim, align_corners=align_corners)
    given = Told(f"{type(mapping).__name__} in {mapping.ndim}-D")
    require(mapping.ndim == ndim, "transform", expected=f"one in {ndim}-D, as the points are", given=given)
    return mapping
