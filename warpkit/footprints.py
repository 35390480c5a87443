"""Where footprints lie: the part of an image that each output pixel stands for, and its mean.

The transform places sub-points in an output pixel, as many along each axis as it covers pixels there, up to
a limit. Each is read from the level of the pyramid whose pixels are as large as the sub-point's own footprint.
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor

from warpkit.geometry import Part, half_extent, index_to_normalised, joined
from warpkit.precision import wide
from warpkit.sampling.pixel_means import mean_of_blocks
from warpkit.sampling.pyramid import (
    FINE,
    SAME,
    Level,
    Levels,
    corners,
    levels,
    pixels_of,
    raised,
    read_footprints,
)
from warpkit.transforms.base import Transform, leaves
from warpkit.transforms.matrix import affine_part, checked_matrix

Size = tuple[int, ...]

_AT_ONCE = 2**18  # sub-points that are worked on together
_BOX = {1: (2**15,), 2: (128, 256), 3: (16, 32, 64)}  # output pixels whose footprints are, rows first
_BLEND = FINE - 1  # pixels over which one more sub-point comes in, so that nothing jumps


def between_pixels(mapping: Transform, theta: Any, size: Size, out: Size, aligned: bool) -> Tensor | None:
    """`[B, D, D + 1]`, from output pixels to pixels of the image, each counted from the middle; None if not affine."""
    if not mapping.is_affine:
        return None
    rows = affine_part(checked_matrix(mapping, theta.to(wide(theta.device))))
    there = rows.new_tensor([half_extent(n, aligned) for n in reversed(size)])[:, None]
    here = rows.new_tensor([*(index_to_normalised(n, aligned)[0] for n in reversed(out)), 1.0])
    return rows * there * here


def area_means(
    pyramid: Levels, mapping: Transform, theta: Any, matrix: Tensor | None, part: Part, most: int
) -> tuple[Tensor | None, Tensor]:
    """The means over the pixels of a part of the output, in the type of the sums, and which of them have one.

    `[N, C, *part.size]`, None where there is none, and `[N or 1, 1, *part.size]`, or ones in place of these sizes.
    `matrix` is what `between_pixels` gives.
    """
    if is_regular(matrix, pyramid.padding):
        return _by_matrix(pyramid, matrix, part, most)
    return _by_points(pyramid, mapping, theta, part, most)


def is_regular(matrix: Tensor | None, padding: tuple[str, ...]) -> TypeGuard[Tensor]:
    """Whether matrices alone say where footprints lie: of affine maps, where the image is not repeated, nor ends."""
    return matrix is not None and not {"wrap", "reflection", "none"}.intersection(padding)


def _by_points(pyramid: Levels, mapping: Transform, theta: Any, part: Part, most: int) -> tuple[Tensor | None, Tensor]:
    """`area_means` of any transform and padding, box by box: the same boxes for every part, and so the same bits."""
    batch = max([pyramid.images, *(len(leaf) for leaf in leaves(theta))])
    boxes, counts = _boxes(part)
    found = [_box_means(pyramid, mapping, theta, box, most, batch) for box in boxes]
    crops = [(slice(None), slice(None), *part.within(box)) for box in boxes]
    changed = joined([some[crop] for (_, some), crop in zip(found, crops, strict=True)], counts)
    like = next((means for means, _ in found if means is not None), None)
    if like is None:
        return None, changed
    each = (like.new_zeros(*like.shape[:2], *box.size) if means is None else means
            for (means, _), box in zip(found, boxes, strict=True))  # fmt: skip
    return joined([means[crop] for means, crop in zip(each, crops, strict=True)], counts), changed


def _boxes(part: Part) -> tuple[list[Part], list[int]]:
    """The boxes of the output that a part meets, and how many there are along each axis."""
    edges = _BOX[len(part.size)]
    each = zip(part.origin, part.size, part.whole, edges, strict=True)
    along = [
        [(k, min(edge, whole - k)) for k in range(first // edge * edge, first + n, edge)]
        for first, n, whole, edge in each
    ]
    found = [Part(tuple(n for _, n in at), part.whole, tuple(k for k, _ in at)) for at in itertools.product(*along)]
    return found, [len(some) for some in along]


def _box_means(
    pyramid: Levels, mapping: Transform, theta: Any, box: Part, most: int, batch: int
) -> tuple[Tensor | None, Tensor]:
    size, aligned = pyramid.size, pyramid.corners
    centres = box.lattice(aligned, wide(pyramid.device), pyramid.device).flatten(0, -2)
    scale = centres.new_tensor([index_to_normalised(n, aligned)[0] for n in reversed(box.whole)])
    scales = centres.new_tensor([half_extent(n, aligned) for n in reversed(size)])[:, None] * scale
    changed = torch.zeros(batch, 1, len(centres), dtype=torch.bool, device=pyramid.device)
    total: Any = None
    steps = _jacobians(mapping, theta, centres) * scales  # pixels of the image for one of the output
    for where, numbers, mine, weight in _groups(steps, most):
        points = centres[where, None] + _offsets(numbers, centres) * scale
        coords = mapping(theta, points.reshape(1, -1, len(size)))
        widths = (steps[:, where] / steps.new_tensor(numbers)).norm(dim=-1)
        each = [t.repeat_interleave(math.prod(numbers), 1) for t in (widths, mine)]
        values = read_footprints(pyramid, pixels_of(coords, size, aligned), *each)
        values = torch.where(_inside(coords, pyramid.padding)[:, None], values, pyramid.beyond(values))
        means = mean_of_blocks(values, 2, math.prod(numbers)) * weight[:, None].to(values.real.dtype)
        if total is None:
            total = values.new_zeros(batch, values.shape[1], len(centres))
        total = total.index_add(2, where, torch.where(mine[:, None], means, 0.0).expand(batch, -1, -1))
        changed[:, 0, where] |= mine
    return None if total is None else total.reshape(*total.shape[:2], *box.size), changed.reshape(batch, 1, *box.size)


def _by_matrix(pyramid: Levels, matrix: Tensor, part: Part, most: int) -> tuple[Tensor | None, Tensor]:
    """`area_means` of affine maps, which have one footprint everywhere: no coordinates are kept, as in `warp`."""
    batch, shared = max(pyramid.images, len(matrix)), len(matrix) == 1
    changed = torch.zeros(len(matrix), 1, *[1] * len(part.size), dtype=torch.bool, device=matrix.device)
    total: Any = None
    for one in footprints(pyramid, matrix, most):
        changed[one.entries] = True
        images, bands = slice(None) if shared else one.entries, []
        for band in _bands(part, one.numbers):
            read = [
                _times(pyramid.read_matrix(level, one.matrix, one.widths, band, images), share)
                for level, share in one.levels
            ]
            means = functools.reduce(torch.add, read)
            for axis, number in enumerate(reversed(one.numbers), start=2):
                means = mean_of_blocks(means, axis, number)
            bands.append(means)
        means = _times(torch.cat(bands, dim=2), one.weight)
        if total is None:
            total = means.new_zeros(batch, *means.shape[1:])
        total = total + means if shared else total.index_add(0, one.entries, means)
    return total, changed


class Footprint(NamedTuple):
    """What the sub-points of some maps of a batch stand for, the same everywhere in the output."""

    entries: Tensor  # of the batch
    numbers: tuple[int, ...]  # of sub-points along x, y, z
    matrix: Tensor  # from sub-points to pixels of the image, each counted from the middle
    widths: Tensor  # pixels of the image
    levels: list[tuple[Level, Tensor]]  # that are read, and their shares
    weight: Tensor  # in the result, beside those of one sub-point less


def footprints(pyramid: Levels, matrix: Tensor, most: int) -> Iterator[Footprint]:
    """The footprints of affine maps: what is read by them, and summed."""
    d = len(pyramid.size)
    for entries, numbers, weight in _alike(matrix[:, :, :d], most):
        fine = matrix[entries] / matrix.new_tensor([*numbers, 1.0])
        widths = fine[:, :, :d].norm(dim=-1)
        low, above = levels(widths, pyramid)
        for level in torch.unique(low, dim=0):
            mine = (low == level).all(-1)
            read = [(raised(level, up), share) for up, share in corners(above[mine])]
            yield Footprint(entries[mine], numbers, fine[mine], widths[mine], read, weight[mine])


def _bands(part: Part, numbers: tuple[int, ...]) -> Iterator[Part]:
    """The sub-points of a part of the output, in bands of a few of its slowest rows.

    So that the pixels that one band reads are still in the cache for its next sub-points.
    """
    rows = max(1, _AT_ONCE // max(1, math.prod(part.size[1:]) * math.prod(numbers)))
    for start in range(0, part.size[0], rows):
        size = (min(rows, part.size[0] - start), *part.size[1:])
        origin = (part.origin[0] + start, *part.origin[1:])
        yield subdivided(Part(size, part.whole, origin), numbers)


def subdivided(part: Part, numbers: tuple[int, ...]) -> Part:
    """The lattice of the sub-points of a part, so many along x, y, z of each pixel."""
    return Part(*(tuple(n * k for n, k in zip(t, reversed(numbers), strict=True)) for t in part))


def _alike(steps: Tensor, most: int) -> Iterator[tuple[Tensor, tuple[int, ...], Tensor]]:
    """Batch entries with as many sub-points along each axis, their numbers, and the share of these in the result."""
    large, *counted = _counted(steps, most)
    for counts, weight in _near(*counted):
        there = large & (weight.detach() != 0)
        for along in torch.unique(counts[there], dim=0):
            entries = (there & (counts == along).all(-1)).nonzero().flatten()
            yield entries, tuple(along.tolist()), weight[entries]


def _times(values: Tensor, weight: Tensor) -> Tensor:
    """Values `[N, …]`, each entry with its weight; those without any are not asked."""
    if weight.requires_grad:
        return values * weight.to(values.real.dtype).reshape(-1, *[1] * (values.ndim - 1))
    if bool((weight == 1).all()):
        return values
    each = weight.to(values.real.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return torch.where(each == 0, 0.0, values * each) if bool((weight == 0).any()) else values * each


def _jacobians(mapping: Transform, theta: Any, points: Tensor) -> Tensor:
    """∂T_i/∂p_j at [i, j], [B, M, D, D]."""
    if mapping.is_affine:  # the same everywhere
        one: Tensor = mapping.jacobian(theta, points[None, :1])
        return one.expand(-1, len(points), -1, -1)
    return mapping.jacobian(theta, points[None])


def _groups(steps: Tensor, most: int) -> Iterator[tuple[Tensor, tuple[int, ...], Tensor, Tensor]]:
    """Output pixels that have as many sub-points along each axis in one image at least, a few at a time.

    The places, the numbers x, y, z, in which images it is so, and the share that so many have in the result.
    """
    large, *counted = _counted(steps, most)
    for counts, weight in _near(*counted):
        there = large & (weight.detach() != 0)
        for along in torch.unique(counts[there], dim=0):
            mine, numbers = there & (counts == along).all(-1), tuple(along.tolist())
            few = max(1, _AT_ONCE // (len(steps) * math.prod(numbers)))
            places = mine.any(0).nonzero().flatten()
            for start in range(0, len(places), few):
                where = places[start : start + few]
                yield where, numbers, mine[:, where], weight[:, where]


def _counted(steps: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where an output pixel covers more than one pixel of the image, the number of sub-points along x, y, z, its share.

    The rest of the share has one sub-point less.
    """
    lengths = steps.norm(dim=-2)  # along the axes of the output
    large = (lengths.detach() > 1 + SAME).any(-1) & lengths.detach().isfinite().all(-1)
    covered = (lengths / (1 + SAME)).nan_to_num(1).clamp(1, most)
    counts = covered.detach().ceil()
    shares = torch.where(counts > 1, ((covered - counts + 1) / _BLEND).clamp(max=1), 1.0)
    return large, counts.long(), shares


def _near(counts: Tensor, shares: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The numbers of sub-points that have a part in the result, and how large it is."""
    for less, weight in corners(1 - shares):
        yield counts - counts.new_tensor(less), weight


def _offsets(along: tuple[int, ...], like: Tensor) -> Tensor:
    """Where the sub-points of an output pixel lie, in pixels from its middle: [K, D], x, y, z."""
    each = [(torch.arange(n, dtype=like.dtype, device=like.device) + 0.5) / n - 0.5 for n in along]
    return torch.stack(torch.meshgrid(*each, indexing="ij"), dim=-1).flatten(0, -2)


def _inside(coords: Tensor, padding: tuple[str, ...]) -> Tensor:
    """Where a point has a place in the extended image; an axis that is not extended ends at −1 and 1."""
    limits = coords.new_tensor([1 + SAME if mode == "none" else math.inf for mode in padding])
    return (coords.isfinite() & (coords.abs() <= limits)).all(-1)
