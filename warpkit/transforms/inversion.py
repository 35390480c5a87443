"""The inverse of any transform, point by point: found by search, certified or refused, with the gradient of T⁻¹.

A lattice of cells over the output is taken through T once. For each point y the cells whose linear model of T says
that y comes from within them are where Newton's method starts (`newton.py`); so are places near a root from which T is
far from linear, where a fold may hide. What is found more than once is refused. Chunks keep the memory in proportion to
the points.
"""

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError
from warpkit.transforms.newton import adjugate, each, jacobian_at, newton

if TYPE_CHECKING:
    from warpkit.transforms.base import Transform

_CELLS = {1: 128, 2: 24, 3: 10}  # of −1 … 1, along each axis
_AROUND = ((1.25, 0.25), (2.0, 0.5))  # centre and half width of the cells beyond
_CANDIDATES = 6  # cells in which a point's Newton may start
_WITHIN = 2.0  # half widths of a cell: a root that its model sees no further away is looked for
_RADII = (1.0, 0.6, 0.36, 0.22, 0.13, 0.0625)  # of probes for folds around a root, in cells
_BENT = 0.5  # of the way from a root to a probe: by how much T may differ there from its linear model
_STEPS, _MORE_STEPS = 24, 12  # of Newton's method: from the likeliest start, and from others
_APART = 1e-5  # roots nearer than this to each other are one
_AT_ONCE, _NUMBERS = 2**13, 2**22  # points, and points times cells: 32 MB and less


class Cells(NamedTuple):
    """The cells of the search, and T's linear model in each: p ≈ centre + inverse · y − offset."""

    centre: Float[Tensor, "L D"]
    half: Float[Tensor, "L D"]
    inverse: Float[Tensor, "N L D D"]
    offset: Float[Tensor, "N L D"]


def preimages(
    transform: "Transform",
    theta: Any,
    targets: Float[Tensor, "B M D"],
    guess: Float[Tensor, "NB M D"] | None = None,
    orientation: Float[Tensor, "*N"] | None = None,
) -> Float[Tensor, "NB M D"]:
    """T⁻¹ of each target, NaN where it is refused; differentiable in θ and targets, to second order.

    `guess`: where it may lie, NaN where nobody knows. `orientation`: the sign that det J has to have, 1 unless given.

    The derivatives are the implicit function theorem's: from a root p of T(p) = y, k steps p ← p − J⁻¹ (T(p) − y) with
    J held are right to order k in whatever moves it.
    """
    held = each(theta, Tensor.detach)
    with torch.no_grad():
        found, inverse = _found(transform, held, targets.detach(), guess, orientation)
    point = found
    for _ in range(2):
        point = point - (inverse @ (transform(theta, point) - targets)[..., None])[..., 0]
    return torch.where(found.isfinite(), point, torch.nan)


@tracing.uncompiled
def _found(
    transform: "Transform", theta: Any, targets: Float[Tensor, "B M D"], guess: Tensor | None, sign: Tensor | None
) -> tuple[Float[Tensor, "NB M D"], Float[Tensor, "NB M D D"]]:
    """The certified preimages, and J⁻¹ there, 0 where there is none."""
    if torch.compiler.is_exporting():
        told = "inverse_points: how long it searches depends on numbers, which no exported graph sees"
        raise InputError(told, hint="Export the warp, and search outside")
    cells = _cells(transform, theta, targets)
    images, batch, ndim = len(cells.inverse), targets.shape[0], transform.ndim
    # One θ for all: all points are one set.
    sets = [
        x.reshape(1, -1, ndim) if images == 1 else x.expand(images, -1, -1)
        for x in (targets, torch.full_like(targets, torch.nan) if guess is None else guess)
    ]
    at_once = max(1, min(_AT_ONCE // images, _NUMBERS // (images * len(cells.centre))))
    parts = zip(*(torch.split(x, at_once, dim=1) for x in sets), strict=True)
    found = torch.cat([_rooted(transform, theta, y, start, cells) for y, start in parts], dim=1)
    found = found.reshape(max(batch, images), -1, ndim)
    adjoint, det = adjugate(jacobian_at(transform, theta, found))
    right = found.isfinite().all(-1) & (det * (1.0 if sign is None else sign.reshape(-1, 1)) > 0)
    inverse = torch.where(right[..., None, None], adjoint / det[..., None, None], 0.0)
    return torch.where(right[..., None], found, torch.nan), inverse


def _cells(transform: "Transform", theta: Any, like: Tensor) -> Cells:
    count = _CELLS[transform.ndim]
    inside = [((2 * i + 1) / count - 1, 1 / count) for i in range(count)]
    outside = _AROUND[: 2 if transform.ndim < 3 else 1]
    axis = torch.tensor([*inside, *outside, *((-x, half) for x, half in outside)], dtype=like.dtype, device=like.device)
    centre, half = (
        torch.stack(torch.meshgrid(*[column] * transform.ndim, indexing="ij"), -1).flatten(0, -2)
        for column in axis.unbind(-1)
    )
    images = transform(theta, centre[None])
    adjoint, det = adjugate(jacobian_at(transform, theta, centre.expand_as(images)))
    inverse = adjoint / torch.where(det.abs() > 1e-9, det, 1e-9)[..., None, None]
    offset = (inverse @ images[..., None])[..., 0]
    known = offset.isfinite().all(-1, keepdim=True)  # behind a horizon there is no start
    return Cells(centre, half, torch.where(known[..., None], inverse, 0.0), torch.where(known, offset, torch.inf))


def _rooted(
    transform: "Transform", theta: Any, targets: Float[Tensor, "N M D"], guess: Float[Tensor, "N M D"], cells: Cells
) -> Float[Tensor, "N M D"]:
    """Each target's one root, NaN where none was found, or more than one."""
    starts, scores = _starts(targets, cells)
    first, found = newton(transform, theta, torch.where(guess.isfinite(), guess, starts[:, :, 0]), targets, _STEPS)
    # Other cells: whose model sees a root elsewhere, and all of them where the first start has led nowhere.
    width = 1 / _CELLS[transform.ndim]
    elsewhere = (starts - first[:, :, None]).abs().amax(-1) > width
    tried = (scores <= _WITHIN) & elsewhere | ~found[..., None]
    others, others_found = _from_each(transform, theta, starts, targets, tried)
    roots, known = torch.cat([first[:, :, None], others], 2), torch.cat([found[..., None], others_found], 2)
    point, found, _ = _innermost(roots, known)
    probes, bent = _probes(transform, theta, point, targets, 2 * width)
    more, more_found = _from_each(transform, theta, probes, targets, bent & found[..., None])
    point, found, twice = _innermost(torch.cat([roots, more], 2), torch.cat([known, more_found], 2))
    return torch.where((found & ~twice)[..., None], point, torch.nan)


def _starts(targets: Float[Tensor, "N M D"], cells: Cells) -> tuple[Float[Tensor, "N M K D"], Float[Tensor, "N M K"]]:
    """Where the likeliest cells see each target's root, and how far from their own centre, in their half widths."""
    narrow = torch.float32  # for a start it is enough
    step = torch.einsum("nlij,nmj->nmli", cells.inverse.to(narrow), targets.to(narrow))
    step = step - cells.offset.to(narrow)[:, None]
    # Behind the edge a steep T has every cell believe in a root of its own: those in the picture come first.
    behind = (cells.centre.abs() > 1).any(-1).to(narrow)
    scores = (step / cells.half.to(narrow)).abs().amax(-1).nan_to_num(torch.inf, torch.inf) + behind
    scores, index = scores.topk(_CANDIDATES, largest=False)
    chosen = step.gather(2, index[..., None].expand(*index.shape, step.shape[-1])).to(targets.dtype)
    half, centre = cells.half[index], cells.centre[index]
    return centre + torch.minimum(torch.maximum(chosen.nan_to_num(0.0), -2 * half), 2 * half), scores


def _probes(
    transform: "Transform", theta: Any, root: Float[Tensor, "N M D"], targets: Float[Tensor, "N M D"], width: float
) -> tuple[Float[Tensor, "N M S D"], Bool[Tensor, "N M S"]]:
    """Places around each root, and whether T is far from its linear model there.

    Where T folds near a root, T(q) = T(p) for another point q, and the model is off by all of q − p.
    """
    ndim = transform.ndim
    adjoint, det = adjugate(jacobian_at(transform, theta, root))
    inverse = adjoint / torch.where(det == 0, 1.0, det)[..., None, None]
    # Along the axes, and to the corners.
    ways = [w for w in itertools.product((-1.0, 0.0, 1.0), repeat=ndim) if w.count(0.0) in (0, ndim - 1)]
    directions = torch.tensor(ways, dtype=root.dtype, device=root.device)
    places, bent = [], []
    for radius in _RADII:
        way = radius * width * directions
        place = root[:, :, None] + way
        moved = transform(theta, place.flatten(1, 2)).reshape(place.shape)
        by_model = (moved - targets[:, :, None]) @ inverse.mT
        places.append(place)
        bent.append((by_model - way).norm(dim=-1) > _BENT * way.norm(dim=-1))
    return torch.cat(places, 2), torch.cat(bent, 2)


def _from_each(
    transform: "Transform",
    theta: Any,
    starts: Float[Tensor, "N M S D"],
    targets: Float[Tensor, "N M D"],
    tried: Bool[Tensor, "N M S"],
) -> tuple[Float[Tensor, "N M S D"], Bool[Tensor, "N M S"]]:
    """Newton's method from the starts that are to be tried: the roots, and which of them were found."""
    flat, goals = starts.flatten(1, 2), targets[:, :, None].expand_as(starts).flatten(1, 2)
    order = tried.flatten(1).to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    if not tracing.is_traced(tried):
        order = order[:, : int(tried.flatten(1).sum(1).max())]
    roots, found = flat.clone(), torch.zeros_like(tried.flatten(1))
    for part in torch.split(order, max(1, _AT_ONCE // len(starts)), dim=1):
        index = part[..., None].expand(*part.shape, flat.shape[-1])
        point, is_root = newton(transform, theta, flat.gather(1, index), goals.gather(1, index), _MORE_STEPS)
        roots, found = roots.scatter(1, index, point), found.scatter(1, part, is_root)
    return roots.reshape(starts.shape), found.reshape(tried.shape) & tried


def _innermost(
    roots: Float[Tensor, "N M S D"], found: Bool[Tensor, "N M S"]
) -> tuple[Float[Tensor, "N M D"], Bool[Tensor, "N M"], Bool[Tensor, "N M"]]:
    """The root in −1 … 1, or else nearest to it; whether there is any; whether there is another one as far in."""
    reach = torch.where(found, roots.abs().amax(-1).clamp(min=1.0), torch.inf)
    least, index = reach.min(dim=-1, keepdim=True)
    root = roots.gather(2, index[..., None].expand(*index.shape, roots.shape[-1]))
    other = (roots - root).abs().amax(-1) > _APART * least
    return root[:, :, 0], least[..., 0].isfinite(), (found & other & (reach <= least * (1 + _APART))).any(-1)
