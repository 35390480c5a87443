"""How far the outline of a box reaches to each side after a mapping that bends it."""

import itertools
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit.transforms.newton import adjugate

_STEPS = {2: 48, 3: 12}  # of a box's edge, at which its outline is looked at
_PEAKS = 3  # places that are looked at more closely, for each side
_HALVINGS = 2  # of the step, there
_CLOSER = 6  # further halvings, where no parabola fits
_KINK = 1e-4  # in normalised coordinates: how far a parabola may be off
_FLAT = 1e-9  # a bend of the outline over one step, in normalised coordinates, that is none

Seen = Callable[[Float[Tensor, "A B S D"]], Float[Tensor, "N M S D"]]


def extremes(seen: Seen, ndim: int, like: Tensor) -> tuple[Float[Tensor, "N M D"], Float[Tensor, "N M D"]]:
    """The least x, y, z of each box's outline and the greatest; NaN where a point of it is not seen.

    `seen` takes places, as shares 0 … 1 of the way from a box's low corner to its high one, to where they are seen.
    """
    with torch.no_grad():
        at, whole = _farthest(seen, ndim, like)  # [N, M, 2D, D]
    step = 1 / _STEPS[ndim] / 2**_HALVINGS
    # From the farthest place to the extreme it is a parabola's way, through places a step away along the outline.
    # Derivatives, second ones too, see by it how the extreme moves.
    free = (at >= step) & (at <= 1 - step)
    ways = (step * free[..., None] * torch.eye(ndim, dtype=at.dtype, device=at.device)).unbind(-2)  # one for each axis
    pairs = list(itertools.combinations(range(ndim), 2))
    moves = torch.stack([0 * at, *ways, *(-w for w in ways), *(ways[a] + ways[b] for a, b in pairs)], dim=-2)
    middle, *rest = _own_side(seen, at[..., None, :] + moves).unbind(-1)
    up, down, both = rest[:ndim], rest[ndim : 2 * ndim], dict(zip(pairs, rest[2 * ndim :], strict=True))
    bend = [[up[a] + down[a] - 2 * middle] * ndim for a in range(ndim)]
    for a, b in pairs:
        bend[a][b] = bend[b][a] = both[a, b] - up[a] - up[b] + middle
    slope = torch.stack([(u - d) / 2 for u, d in zip(up, down, strict=True)], dim=-1)
    reach = middle + _rise(slope, torch.stack([torch.stack(row, dim=-1) for row in bend], dim=-2), free)
    # A field between two of its places has kinks, which no parabola knows: there the outline's own point counts.
    with torch.no_grad():
        closest = _closer(seen, at, step)
    own = _own_side(seen, closest[..., None, :])[..., 0]
    reach = torch.where((own - reach).detach().abs() > _KINK, own, reach)
    reach = torch.where(whole, reach, torch.nan)
    return -reach[..., :ndim], reach[..., ndim:]


def _rise(
    slope: Float[Tensor, "N M E D"], bend: Float[Tensor, "N M E D D"], free: Bool[Tensor, "N M E D"]
) -> Float[Tensor, "N M E"]:
    """How far a paraboloid's top is above its middle, along the free axes; 0 where it has no top within a step."""
    eye = torch.eye(slope.shape[-1], dtype=slope.dtype, device=slope.device)
    slope, bend = torch.where(free, slope, 0.0), torch.where(free[..., None] & free[..., None, :], -bend, eye)
    adjoint, det = adjugate(bend.detach())
    top = (adjoint @ slope.detach()[..., None])[..., 0] / torch.where(det > 0, det, 1.0)[..., None]
    bent = bend.detach().diagonal(dim1=-2, dim2=-1).amin(-1) > _FLAT
    curved = bent & (det > 0) & (top.abs().amax(-1) <= 1)
    # What has no top never meets the division: 0/0 would be NaN in the gradient.
    slope, bend = torch.where(curved[..., None], slope, 0.0), torch.where(curved[..., None, None], bend, eye)
    adjoint, det = adjugate(bend)
    return (slope[..., None, :] @ adjoint @ slope[..., None])[..., 0, 0] / det / 2


def _farthest(seen: Seen, ndim: int, like: Tensor) -> tuple[Float[Tensor, "N M E D"], Bool[Tensor, "N M 1"]]:
    """The place of each box that reaches farthest to each side, to a fraction of a step; whether all of it is seen."""
    steps = _STEPS[ndim]
    places = corners_and_between(steps, ndim, like)
    outline = ((places == 0) | (places == 1)).any(dim=-1)
    reach = _outward(seen(places[outline][None, None]))
    boxes = reach.shape[:2]
    # A peak is farther than its neighbours on the outline: there may be several nearly as far.
    height = reach.new_full((*boxes, 2 * ndim, len(places)), -torch.inf)
    height[..., outline] = reach.nan_to_num(-torch.inf).mT
    height = height.reshape(-1, 2 * ndim, *(steps + 1,) * ndim)
    pool = torch.nn.functional.max_pool2d if ndim == 2 else torch.nn.functional.max_pool3d
    peaks = torch.where(height == pool(height, 3, stride=1, padding=1), height, -torch.inf).flatten(2)
    at = places[peaks.topk(_PEAKS).indices].reshape(*boxes, 2 * ndim, _PEAKS, ndim)
    for halving in range(1, _HALVINGS + 1):
        at = _nearer(seen, at, 1 / steps / 2**halving)
    return _best(at, _own_side(seen, at)), reach.isfinite().all(dim=-1).all(dim=-1, keepdim=True)


def _nearer(seen: Seen, at: Float[Tensor, "*B D"], step: float) -> Float[Tensor, "*B D"]:
    """The places or those among their neighbours, a step away, that reach farthest."""
    d = at.shape[-1]
    around = torch.tensor(list(itertools.product((0, -1, 1), repeat=d)), dtype=at.dtype, device=at.device)
    near = (at[..., None, :] + around * step).clamp(0, 1)
    return _best(near, _own_side(seen, near))


def _closer(seen: Seen, at: Float[Tensor, "N M E D"], step: float) -> Float[Tensor, "N M E D"]:
    """The farthest places, more closely; what lies on an edge of the box stays on it."""
    for halving in range(1, _CLOSER + 1):
        at = _nearer(seen, at, step / 2**halving)
    return at


def _best(places: Float[Tensor, "*B S D"], reach: Float[Tensor, "*B S"]) -> Float[Tensor, "*B D"]:
    index = reach.nan_to_num(-torch.inf).argmax(dim=-1)[..., None, None]
    return places.gather(-2, index.expand(*index.shape[:-1], places.shape[-1]))[..., 0, :]


def _own_side(seen: Seen, places: Float[Tensor, "N M E *S D"]) -> Float[Tensor, "N M E *S"]:
    """How far places that are meant for one side each, [:, :, side], reach to that side."""
    reach = _outward(seen(places.flatten(2, -2))).reshape(*places.shape[:-1], places.shape[2])
    side = torch.arange(places.shape[2], device=places.device).reshape(-1, *[1] * (places.ndim - 4))
    return reach.gather(-1, side.expand(places.shape[:-1])[..., None])[..., 0]


def _outward(points: Float[Tensor, "*B D"]) -> Float[Tensor, "*B E"]:
    """How far points reach to each of the 2·D sides: towards less x, y, z, then towards more."""
    return torch.cat([-points, points], dim=-1)


def corners_and_between(steps: int, ndim: int, like: Tensor) -> Float[Tensor, "S D"]:
    """The corners of a box and the places between them at so many steps an edge, as shares 0 … 1."""
    axis = torch.arange(steps + 1, dtype=like.dtype, device=like.device) / steps
    return torch.stack(torch.meshgrid(*[axis] * ndim, indexing="ij"), dim=-1).reshape(-1, ndim)
