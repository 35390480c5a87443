"""Antialiased warps: the mean of what lies under each output pixel, instead of one sample in its middle.

Where an output pixel covers several pixels of the image, one sample of them is noise. The transform itself places a few
sub-points in each output pixel, as many along each of its axes as it covers pixels there, up to a limit; each is read
from the level of the image's pyramid whose pixels are as large as the sub-point's own footprint; and they are averaged.
So no footprint is replaced by an ellipse, and nothing is undefined where the transform bends: θ's gradient goes through
the sub-points, their footprints and the levels.
"""

import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError
from warpkit.geometry import half_extent, index_to_normalised, lattice
from warpkit.kernels.base import Kernel
from warpkit.precision import saturated, wide
from warpkit.quoting import Told
from warpkit.sampling.coefficients import Coefficients, size_of
from warpkit.sampling.pixel_means import mean_of_blocks, pixel_means
from warpkit.sampling.pyramid import (
    FINE,
    SAME,
    Pyramid,
    corners,
    levels,
    pixels_of,
    raised,
    read_footprints,
)
from warpkit.sampling.rule import Rule
from warpkit.sampling.sampler import resample
from warpkit.transforms.base import Transform, leaves
from warpkit.transforms.matrix import affine_part, checked_matrix

Size = tuple[int, ...]

MOST = 4  # sub-points along an axis, unless another number is asked for
_AT_ONCE = 2**18  # sub-points that are worked on together
_BLEND = FINE - 1  # pixels over which one more sub-point comes in, so that nothing jumps


def check_antialias(given: Any, kernels: Iterable[Kernel]) -> int:
    """The most sub-points along an axis, 0 for none; `InputError` for what is neither a truth value nor a number."""
    if given is False:
        return 0
    most = MOST if given is True else given
    if type(most) is not int or not 1 <= most <= 64:
        raise InputError("antialias", expected="True, False or a whole number of sub-points up to 64", given=given)
    if any(kernel.taps == 1 for kernel in kernels):
        hint = (
            "Means of labels are no labels: warp without it, or warp one channel for each label, and take the largest."
        )
        raise InputError("antialias", expected="a kernel that mixes pixels", given="nearest", hint=hint)
    return most


def point_sampled(image: Tensor, mapping: Transform, theta: Any, rule: Rule, out: Size) -> Tensor:
    """The warped image without antialiasing, `[N, C, *out]`: one sample in the middle of each output pixel."""
    if mapping.is_matrix:
        matrix = checked_matrix(mapping, theta.to(wide(theta.device)))
        return resample(image, matrix, "affine" if mapping.is_affine else "projective", out, rule)
    return resample(image, mapping.shifts(theta, out, rule.align_corners), "shifts", out, rule)


@tracing.uncompiled
def antialiased(image: Tensor, mapping: Transform, theta: Any, rule: Rule, out: Size, most: int) -> Tensor:
    """The warped image with means where an output pixel covers more than one pixel of the image."""
    if torch.compiler.is_exporting():
        told = "antialias: how many sub-points an output pixel has depends on θ's numbers, which no exported graph sees"
        raise InputError(told, hint="Export it with antialias=False")
    if isinstance(image, Coefficients):
        raise InputError("antialias", expected="an image, from which it makes smaller ones", given=Told("coefficients"))
    if any(tracing.is_mapped(part) for part in leaves(theta)):
        hint = "How many sub-points there are depends on θ: give a batch of θ instead."
        raise InputError("antialias", expected="False where vmap goes over θ", given=most, hint=hint)
    if tracing.is_hollow(image):
        return point_sampled(image, mapping, theta, rule, out)
    size, aligned = size_of(image), rule.align_corners
    matrix = _between_pixels(mapping, theta, size, out, aligned) if mapping.is_affine else None
    if matrix is not None and (means := pixel_means(image, matrix, out, rule, most)) is not None:
        return means
    if rule.marks:
        return _marked(image, mapping, theta, rule, out, most)
    if matrix is not None and not {"wrap", "reflection", "none"}.intersection(rule.padding):
        found, changed = _by_matrix(image, matrix, rule, out, most)
    else:
        found, changed = _by_points(image, mapping, theta, rule, out, most)
    if found is None:
        return point_sampled(image, mapping, theta, rule, out)
    means = saturated(found, image.dtype)
    if bool(changed.all()):
        return means
    return torch.where(changed, means, point_sampled(image, mapping, theta, rule, out))


def _by_points(
    image: Tensor, mapping: Transform, theta: Any, rule: Rule, out: Size, most: int
) -> tuple[Tensor | None, Tensor]:
    """The means in the type of the sums, and which output pixels `[N, 1, *out]` have one: any transform and padding."""
    size, aligned = size_of(image), rule.align_corners
    centres = lattice(out, align_corners=aligned, dtype=wide(image.device), device=image.device).flatten(0, -2)
    scale = centres.new_tensor([index_to_normalised(n, aligned)[0] for n in reversed(out)])
    scales = centres.new_tensor([half_extent(n, aligned) for n in reversed(size)])[:, None] * scale
    batch = max([len(image), *(len(part) for part in leaves(theta))])
    changed = torch.zeros(batch, 1, len(centres), dtype=torch.bool, device=image.device)
    pyramid: Pyramid | None = None
    total: Any = None
    few = max(1, _AT_ONCE // max(1, batch))
    for start in range(0, len(centres), few):
        here = centres[start : start + few]
        steps = _jacobians(mapping, theta, here) * scales  # pixels of the image for one of the output
        for where, numbers, mine, weight in _groups(steps, most):
            pyramid = pyramid or Pyramid(image, rule)
            points = here[where, None] + _offsets(numbers, centres) * scale
            coords = mapping(theta, points.reshape(1, -1, len(out)))
            widths = (steps[:, where] / steps.new_tensor(numbers)).norm(dim=-1)
            each = [t.repeat_interleave(math.prod(numbers), 1) for t in (widths, mine)]
            values = read_footprints(pyramid, pixels_of(coords, size, aligned), *each)
            values = torch.where(_inside(coords, rule.padding)[:, None], values, pyramid.beyond(values))
            means = values.reshape(*values.shape[:2], len(where), -1).mean(-1) * weight[:, None].to(values.real.dtype)
            if total is None:
                total = values.new_zeros(batch, values.shape[1], len(centres))
            total = total.index_add(2, where + start, torch.where(mine[:, None], means, 0.0).expand(batch, -1, -1))
            changed[:, 0, where + start] |= mine
    return None if total is None else total.reshape(*total.shape[:2], *out), changed.reshape(batch, 1, *out)


def _between_pixels(mapping: Transform, theta: Tensor, size: Size, out: Size, aligned: bool) -> Tensor:
    """`[B, D, D + 1]`, from output pixels to pixels of the image, each counted from the middle."""
    rows = affine_part(checked_matrix(mapping, theta.to(wide(theta.device))))
    there = rows.new_tensor([half_extent(n, aligned) for n in reversed(size)])[:, None]
    here = rows.new_tensor([*(index_to_normalised(n, aligned)[0] for n in reversed(out)), 1.0])
    return rows * there * here


def _by_matrix(image: Tensor, matrix: Tensor, rule: Rule, out: Size, most: int) -> tuple[Tensor | None, Tensor]:
    """`_by_points` for affine maps, which have one footprint everywhere: no coordinates are kept, as in `warp`."""
    batch, shared = max(len(image), len(matrix)), len(matrix) == 1
    pyramid: Pyramid | None = None
    changed = torch.zeros(len(matrix), *[1] * (image.ndim - 1), dtype=torch.bool, device=image.device)
    total: Any = None
    for entries, numbers, weight in _alike(matrix[:, :, :-1], most):
        pyramid = pyramid or Pyramid(image, rule)
        changed[entries] = True
        widths = (matrix[entries, :, :-1] / matrix.new_tensor(numbers)).norm(dim=-1)
        low, above = levels(widths, pyramid)
        for level in torch.unique(low, dim=0):
            mine = (low == level).all(-1)
            each, parts = entries[mine], list(corners(above[mine]))
            bands = []
            for band, moved in _bands(matrix[each], out, numbers):
                ways = moved, widths[mine], band, slice(None) if shared else each
                read = [_times(pyramid.read_matrix(raised(level, up), *ways), share) for up, share in parts]
                means = functools.reduce(torch.add, read)
                for axis, number in enumerate(reversed(numbers), start=2):
                    means = mean_of_blocks(means, axis, number)
                bands.append(means)
            means = _times(torch.cat(bands, dim=2), weight[mine])
            if total is None:
                total = means.new_zeros(batch, *means.shape[1:])
            total = total + means if shared else total.index_add(0, each, means)
    return total, changed


def _bands(matrix: Tensor, out: Size, numbers: tuple[int, ...]) -> Iterator[tuple[list[int], Tensor]]:
    """Bands of the sub-points, of a few of the output's slowest rows at a time: the size, and the matrix of each.

    So that the pixels that one band reads are still in the cache for its next sub-points.
    """
    d = len(out)
    rows = max(1, _AT_ONCE // max(1, math.prod(out[1:]) * math.prod(numbers)))
    for start in range(0, out[0], rows):
        stop = min(start + rows, out[0])
        middle = matrix[:, :, d:] + matrix[:, :, d - 1 : d] * ((start + stop - out[0]) / 2)
        size = [n * k for n, k in zip((stop - start, *out[1:]), reversed(numbers), strict=True)]
        yield size, torch.cat([matrix[:, :, :d] / matrix.new_tensor(numbers), middle], dim=2)


def _alike(steps: Tensor, most: int) -> Iterator[tuple[Tensor, tuple[int, ...], Tensor]]:
    """Batch entries with as many sub-points along each axis, their numbers, and the share of these in the result."""
    large, *counted = _counted(steps, most)
    for counts, weight in _near(*counted):
        there = large & (weight.detach() != 0)
        for along in torch.unique(counts[there], dim=0):
            entries = (there & (counts == along).all(-1)).nonzero().flatten()
            yield entries, tuple(along.tolist()), weight[entries]


def _times(values: Tensor, weight: Tensor) -> Tensor:
    """Values `[N, …]`, each entry with its weight."""
    if not weight.requires_grad and bool((weight == 1).all()):
        return values
    return values * weight.to(values.real.dtype).reshape(-1, *[1] * (values.ndim - 1))


def _marked(image: Tensor, mapping: Transform, theta: Any, rule: Rule, out: Size, most: int) -> Tensor:
    """NaN where anything outside has a part in the mean, too, where `fill` is NaN."""
    marks = rule.fill.isnan()
    clean = rule._replace(marks=False, words=None, fill=torch.where(marks, 0.0, rule.fill))
    found = antialiased(image, mapping, theta, clean, out, most)
    with torch.no_grad():
        ones = torch.ones(1, 1, *size_of(image), dtype=torch.float32, device=image.device)
        # Sums over the same numbers in the same order, wherever nothing is outside.
        extended = tuple("border" if mode in ("zeros", "none") else mode for mode in rule.padding)
        rules = (clean._replace(padding=extended), clean._replace(fill=clean.fill[:0]))
        whole, inside = (antialiased(ones, mapping, theta, each, out, most) for each in rules)
    return torch.where((whole != inside) & marks.reshape(1, -1, *[1] * len(out)), torch.nan, found)


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
