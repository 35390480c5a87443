"""Figures of how a transformer looks at its image, from the corners of a few cells of its output."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.boundary import for_each_axis
from warpkit.modules.regression import alike
from warpkit.modules.spatial_transformer import SpatialTransformer

CELLS, FINEST = 8, 64  # along each axis of the output, from edge to edge; as many as a field has places, at most
_FEW = 2048
FIGURES = ("outside", "area", "area_spread", "folds", "distance", "variety")


@torch.no_grad()
def measure(transformer: SpatialTransformer, theta: Float[Tensor, "N P *F"]) -> Float[Tensor, " figures"]:
    """The values of `FIGURES`, in their order, on θ's device; the caller need not wait for them."""
    looked = corners(transformer, theta)
    # Not "beyond > 0": what is not finite is outside.
    outside = ~(beyond(transformer, middles(looked)) <= 0).all(dim=-1)
    cells = determinants(looked)
    known = torch.where(cells.isfinite(), cells, torch.nan)
    area = known.nanmean()
    return torch.stack(
        [
            outside.to(theta.dtype).mean(),
            area,
            (known - area).square().nanmean().sqrt(),
            (oriented(known) <= 0).to(theta.dtype).mean(),
            (theta - alike(transformer.init, theta)).square().mean().sqrt(),
            _variety(theta),
        ]
    )


@torch.no_grad()
def spread(given: Float[Tensor, "N *S"]) -> Float[Tensor, ""]:
    """How far images, or features, differ from the first of them, as a part of their size; of each a few thousand."""
    few = given.flatten(1)
    few = few[:, :: max(1, few.shape[1] // _FEW)].to(torch.float32)
    few = few / few.abs().amax().clamp(min=torch.finfo(torch.float32).tiny)  # so that no square overflows
    size = few.square().mean()
    return torch.where(size > 0, ((few - few[:1]).square().mean() / size).sqrt(), 0 * size)


def _variety(theta: Float[Tensor, "N *P"]) -> Float[Tensor, ""]:
    apart = theta - theta[:1]  # exactly 0 where all are the same: a mean of them is rounded
    return (apart - apart.mean(dim=0)).square().mean().sqrt()


def corners(transformer: SpatialTransformer, theta: Float[Tensor, "N P *F"]) -> Float[Tensor, "N *T D"]:
    """The coordinates that the cells' corners are sampled from."""
    places = theta.shape[2:] if transformer.transform.is_field else (CELLS,) * transformer.transform.ndim
    with tracing.no_autocast(theta.device):
        return transformer.transform.on_lattice(theta, tuple(min(max(n, CELLS), FINEST) + 1 for n in places), True)


def beyond(transformer: SpatialTransformer, coords: Float[Tensor, "*T D"]) -> Float[Tensor, "*T D"]:
    """The distance outside of the image, on each axis; NaN where a coordinate is not finite. "wrap" has no outside."""
    modes = for_each_axis("padding_mode", transformer.padding_mode, transformer.transform.ndim)
    axes = zip(coords.unbind(-1), modes, strict=True)
    return torch.stack([0 * x if mode == "wrap" else (x.abs() - 1).clamp(min=0) for x, mode in axes], dim=-1)


def middles(corners: Float[Tensor, "N *T D"]) -> Float[Tensor, "N *cells D"]:
    """The mean of the corners of each cell."""
    return _halfway(corners, range(1, corners.ndim - 1))


def determinants(corners: Float[Tensor, "N *T D"]) -> Float[Tensor, "N *cells"]:
    """The determinant of ∂T/∂p in each cell, by differences between its sides: how much of the image it covers."""
    axes = range(1, corners.ndim - 1)
    # The columns are x, y, z, the axes of the lattice run the other way.
    sides = [_halfway(corners.diff(dim=a), [b for b in axes if b != a]) * ((corners.shape[a] - 1) / 2) for a in axes]
    return _determinant(torch.stack(sides[::-1], dim=-1))


def oriented(cells: Float[Tensor, "N *cells"]) -> Float[Tensor, "N *cells"]:
    """The determinants, with the other sign in an image that is mirrored as a whole: ≤ 0 where it folds."""
    total = cells.detach().flatten(1).nansum(dim=1)
    return cells * torch.where(total < 0, -1.0, 1.0).to(cells).reshape(-1, *[1] * (cells.ndim - 1))


def _halfway(x: Tensor, axes: Iterable[int]) -> Tensor:
    for a in axes:
        x = (x.narrow(a, 0, x.shape[a] - 1) + x.narrow(a, 1, x.shape[a] - 1)) / 2
    return x


def _determinant(matrix: Float[Tensor, "*S D D"]) -> Float[Tensor, "*S"]:
    """The determinant along the first row: torch.linalg.det takes each of thousands of tiny matrices apart."""
    d = matrix.shape[-1]
    if d == 1:
        return matrix[..., 0, 0]
    minors = [torch.cat([matrix[..., 1:, :i], matrix[..., 1:, i + 1 :]], dim=-1) for i in range(d)]
    parts = [(-1) ** i * matrix[..., 0, i] * _determinant(minor) for i, minor in enumerate(minors)]
    return torch.stack(parts).sum(dim=0)
