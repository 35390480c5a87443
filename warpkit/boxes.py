"""Boxes of an image follow it into its warped output: the tight box around what each becomes."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import require
from warpkit.geometry import check_floats
from warpkit.points import SizeLike, TransformLike, frame_of, mapping_of
from warpkit.precision import wide
from warpkit.transforms.newton import adjugate

_STEPS = {2: 48, 3: 12}  # of a box's edge, at which its outline is looked at
_PEAKS = 3  # places that are looked at more closely, for each side of a new box
_HALVINGS = 2  # of the step, there
_FLAT = 1e-9  # a bend of the outline, in normalised coordinates, that is none

Seen = Callable[[Float[Tensor, "N M S D"]], Float[Tensor, "N M S D"]]


def warp_boxes(
    boxes: Tensor,
    transform: TransformLike,
    theta: Any,
    *,
    units: str = "normalized",
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
    hint = ". Is the batch missing: boxes[None]?" if boxes.ndim == 2 else ""
    require(numbers in (2, 4, 6), f"boxes: expected [N, M, 2·D] with D of 1 to 3, got {list(boxes.shape)}{hint}")
    ndim, exact = numbers // 2, wide(boxes.device)
    mapping, frame = mapping_of(transform, ndim, boxes), frame_of(units, in_size, out_size, align_corners, ndim)
    none = mapping(theta, boxes[:, :0, :ndim])  # checks θ
    if none.shape[0] * boxes.shape[1] == 0:
        return boxes.new_zeros(none.shape[0], boxes.shape[1], numbers, dtype=none.dtype)
    low, high = (frame.normalised(side)[:, :, None] for side in boxes.to(exact).chunk(2, dim=-1))

    def seen(share: Float[Tensor, "N M S D"]) -> Float[Tensor, "N M S D"]:
        """Where places of the boxes are seen, each given as a share of the way from the low to the high corner."""
        places = low + share * (high - low)
        return mapping.inverse_points(theta, places.flatten(1, 2)).unflatten(1, places.shape[1:3])

    if mapping.is_matrix or ndim == 1:
        corners = seen(_lattice(1, ndim, low)[None, None])
        least, most = corners.amin(dim=2), corners.amax(dim=2)
    else:
        least, most = _extremes(seen, ndim, low).chunk(2, dim=-1)
    return torch.cat([frame.seen(least), frame.seen(most)], dim=-1).to(none.dtype)


def _extremes(seen: Seen, ndim: int, like: Tensor) -> Float[Tensor, "N M 2D"]:
    """The least x, y, z of each box's outline, then the greatest; NaN where a point of it is not seen."""
    step = 1 / _STEPS[ndim] / 2**_HALVINGS
    with torch.no_grad():
        at, whole = _reached(seen, ndim, like)
    # The way on to the extreme itself is a parabola's through places nearby, at which derivatives see it move.
    free = (at >= step) & (at <= 1 - step)
    shift = step * torch.eye(ndim, dtype=at.dtype, device=at.device) * free[..., None]  # one axis each
    pairs = list(itertools.combinations(range(ndim), 2))
    ways = torch.stack(
        [
            torch.zeros_like(at),
            *shift.unbind(-2),
            *(-shift).unbind(-2),
            *(shift[..., a, :] + shift[..., b, :] for a, b in pairs),
        ],
        dim=-2,
    )  # [N, M, 2D, S, D]
    found = _outward(seen((at[..., None, :] + ways).flatten(2, 3)).unflatten(2, ways.shape[2:4]))
    side = torch.arange(2 * ndim, device=at.device)
    middle, *rest = found[:, :, side, :, side].movedim(0, 2).unbind(-1)
    up, down, both = rest[:ndim], rest[ndim : 2 * ndim], dict(zip(pairs, rest[2 * ndim :], strict=True))
    slope = torch.stack([(u - d) / 2 for u, d in zip(up, down, strict=True)], -1)
    rows = []
    for a in range(ndim):
        row = [
            up[a] + down[a] - 2 * middle if a == b else both[min(a, b), max(a, b)] - up[a] - up[b] + middle
            for b in range(ndim)
        ]
        rows.append(torch.stack(row, -1))
    bend = torch.stack(rows, -2)
    extreme = middle + _rise(slope, bend, free)
    return torch.where(whole[..., None], torch.cat([-extreme[..., :ndim], extreme[..., ndim:]], -1), torch.nan)


def _rise(slope: Float[Tensor, "N M E D"], bend: Float[Tensor, "N M E D D"], free: Tensor) -> Float[Tensor, "N M E"]:
    """How far the top of a paraboloid lies above its middle, along the axes that are free; 0 where it has no top."""
    eye = torch.eye(slope.shape[-1], dtype=slope.dtype, device=slope.device)
    both = free[..., None] & free[..., None, :]
    slope, bend = torch.where(free, slope, 0.0), torch.where(both, bend, -eye)
    adjoint, det = adjugate(-bend.detach())
    top = (adjoint @ slope.detach()[..., None])[..., 0] / torch.where(det > 0, det, 1.0)[..., None]
    curved = (bend.detach().diagonal(dim1=-2, dim2=-1) < -_FLAT).all(-1) & (det > 0) & (top.abs() <= 1).all(-1)
    # What is not curved never meets the division: 0/0 would be NaN in the gradient.
    slope = torch.where(curved[..., None], slope, 0.0)
    adjoint, det = adjugate(torch.where(curved[..., None, None], -bend, eye))
    return (slope[..., None, :] @ adjoint @ slope[..., None])[..., 0, 0] / det / 2


def _reached(seen: Seen, ndim: int, like: Tensor) -> tuple[Float[Tensor, "N M 2D D"], Tensor]:
    """The places of each box that reach farthest to each side, to a fraction of a step; whether all of it is seen."""
    steps = _STEPS[ndim]
    whole_lattice = _lattice(steps, ndim, like)
    outline = ((whole_lattice == 0) | (whole_lattice == 1)).any(-1)
    places = whole_lattice[outline]
    out = _outward(seen(places[None, None]))
    whole = out.isfinite().all(-1).all(-1)
    # Among its neighbours on the outline each peak is the farthest.
    height = out.new_full((*out.shape[:2], 2 * ndim, len(whole_lattice)), -torch.inf)
    height[..., outline] = out.nan_to_num(-torch.inf).transpose(-1, -2)
    height = height.flatten(0, 1).unflatten(-1, (steps + 1,) * ndim)
    pool = torch.nn.functional.max_pool2d if ndim == 2 else torch.nn.functional.max_pool3d
    peaks = torch.where(height == pool(height, 3, stride=1, padding=1), height, -torch.inf).flatten(2)
    index = peaks.topk(_PEAKS, dim=-1).indices.unflatten(0, out.shape[:2])
    at = whole_lattice[index]  # [N, M, 2D, peaks, D]
    around = torch.tensor(sorted(itertools.product((-1, 0, 1), repeat=ndim), key=any), dtype=at.dtype, device=at.device)
    best = None
    for halving in range(1, _HALVINGS + 1):
        near = (at[..., None, :] + around / steps / 2**halving).clamp(0, 1)
        height = _outward(seen(near.flatten(2, 4))).nan_to_num(-torch.inf).unflatten(2, near.shape[2:5])
        side = torch.arange(2 * ndim, device=at.device)
        best, index = height[:, :, side, :, :, side].movedim(0, 2).max(dim=-1)  # [N, M, 2D, peaks]
        at = near.gather(4, index[..., None, None].expand(*index.shape, 1, ndim))[..., 0, :]
    first = best.argmax(-1, keepdim=True)[..., None]
    return at.gather(3, first.expand(*first.shape[:3], 1, ndim))[..., 0, :], whole


def _outward(points: Float[Tensor, "*B D"]) -> Float[Tensor, "*B 2D"]:
    """How far each point reaches towards the low side of each axis, then towards the high side."""
    return torch.cat([-points, points], dim=-1)


def _lattice(steps: int, ndim: int, like: Tensor) -> Float[Tensor, "S D"]:
    axis = torch.arange(steps + 1, dtype=like.dtype, device=like.device) / steps
    return torch.stack(torch.meshgrid(*[axis] * ndim, indexing="ij"), -1).reshape(-1, ndim)
