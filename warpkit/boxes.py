"""Boxes of an image follow it into its warped output: the tight box around what each becomes."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import require
from warpkit.geometry import Units, check_floats
from warpkit.outlines import corners_and_between, extremes
from warpkit.points import SizeLike, frame_of, mapping_of
from warpkit.precision import wide
from warpkit.transforms.given import TransformLike


def warp_boxes(
    boxes: Tensor,
    transform: TransformLike,
    theta: Any,
    *,
    units: Units = "normalized",
    in_size: SizeLike | None = None,
    out_size: SizeLike | None = None,
    align_corners: bool = False,
) -> Tensor:
    """The tight boxes around what boxes of the input become in the output that `warp` makes.

    A matrix takes the extremes from the corners. Under any other transform the outline of a box bends: it is looked at
    in 48 steps an edge (12 in 3-D, over the faces), more closely where it reaches farthest, and a parabola gives the
    extreme itself, so that the box is right to far less than a tenth of a pixel unless the outline bends more than a
    few times along an edge.

    Args:
        boxes: `[N, M, 2·D]`, floating-point: x0 y0 x1 y1, in 3-D x0 y0 z0 x1 y1 z1.
        transform: as in `warp_points`, and so are all others.
        theta: see `warp_points`.
        units: see `warp_points`. In pixels the centre of the first is 0, its edges are −½ and ½.
        in_size: see `warp_points`.
        out_size: see `warp_points`.
        align_corners: see `warp_points`.

    Returns:
        `[N, M, 2·D]` in the same units, in float32 at least; not cut off at the output's edge. NaN for a box with a
        point on its outline that has no certified preimage: a part of it is folded over, or not before the horizon.
        Differentiable in θ and boxes, to second order, where its extremes are not changing places.

    Raises:
        InputError: for a wrong shape, type, device, size, name or option, and for a singular matrix.

    >>> half = torch.tensor([[2.0, 0, 0, 0, 2, 0]])  # the image at half its size
    >>> warp_boxes(torch.tensor([[[-1.0, -0.5, 1.0, 0.5]]]), "affine", half).tolist()
    [[[-0.5, -0.25, 0.5, 0.25]]]
    """
    check_floats("boxes", boxes)
    numbers = boxes.shape[-1] if boxes.ndim == 3 else 0
    hint = "Is the batch missing: boxes[None]?" if boxes.ndim == 2 else ""
    require(numbers in (2, 4, 6), "boxes", expected="[N, M, 2·D] with D of 1 to 3", given=list(boxes.shape), hint=hint)
    ndim, exact = numbers // 2, wide(boxes.device)
    frame = frame_of(units, in_size, out_size, align_corners, ndim)
    mapping = mapping_of(transform, ndim, boxes, align_corners)
    none = mapping(theta, boxes[:, :0, :ndim])  # checks θ
    if none.shape[0] * boxes.shape[1] == 0:
        return boxes.new_zeros(none.shape[0], boxes.shape[1], numbers, dtype=none.dtype)
    low, high = (frame.normalised(side)[:, :, None] for side in boxes.to(exact).chunk(2, dim=-1))

    def seen(share: Float[Tensor, "A B S D"]) -> Float[Tensor, "N M S D"]:
        """Where places of the boxes are seen, each given as a share of the way from the low to the high corner."""
        places = low + share * (high - low)
        return mapping.inverse_points(theta, places.flatten(1, 2)).reshape(none.shape[0], *places.shape[1:])

    if mapping.is_matrix or ndim == 1:
        corners = seen(corners_and_between(1, ndim, low)[None, None])
        least, most = corners.amin(dim=2), corners.amax(dim=2)
    else:
        least, most = extremes(seen, ndim, low)
    return torch.cat([frame.seen(least), frame.seen(most)], dim=-1).to(none.dtype)
