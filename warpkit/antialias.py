"""Antialiased warps: the mean of what lies under each output pixel, instead of one sample in its middle.

Where an output pixel covers several pixels of the image, one sample of them is noise. The transform itself places a few
sub-points in each output pixel, as many along each of its axes as it covers pixels there, up to a limit; each is read
from the level of the image's pyramid whose pixels are as large as the sub-point's own footprint; and they are averaged.
So no footprint is replaced by an ellipse, and nothing is undefined where the transform bends: θ's gradient goes through
the sub-points, their footprints and the levels.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError
from warpkit.geometry import half_extent, index_to_normalised, lattice
from warpkit.kernels.base import Kernel
from warpkit.precision import arithmetic, saturated, wide
from warpkit.quoting import Told
from warpkit.sampling.coefficients import Coefficients, size_of
from warpkit.sampling.pyramid import Pyramid, pixels_of, pyramid_of
from warpkit.sampling.rule import Rule
from warpkit.transforms.base import Transform
from warpkit.transforms.matrix import affine_part, checked_matrix

MOST = 4  # sub-points along an axis, unless another number is asked for
_AT_ONCE = 2**18  # sub-points that are worked on together
_SAME = 1e-6  # pixels: a footprint that is larger than one by no more is one


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


@tracing.uncompiled
def antialiased(plain: Tensor, image: Tensor, mapping: Transform, theta: Any, rule: Rule, most: int) -> Tensor:
    """`plain`, the warped image, with means where an output pixel covers more than one pixel of the image."""
    if torch.compiler.is_exporting():
        told = "antialias: how many sub-points an output pixel has depends on θ's numbers, which no exported graph sees"
        raise InputError(told, hint="Export it with antialias=False")
    if isinstance(image, Coefficients):
        raise InputError("antialias", expected="an image, from which it makes smaller ones", given=Told("coefficients"))
    if rule.marks:
        return _marked(plain, image, mapping, theta, rule, most)
    if mapping.is_affine and not {"wrap", "reflection", "none"}.intersection(rule.padding):
        return _by_matrix(plain, image, mapping, theta, rule, most)
    size, out, corners = size_of(image), tuple(plain.shape[2:]), rule.align_corners
    centres = lattice(out, align_corners=corners, dtype=wide(plain.device), device=plain.device).flatten(0, -2)
    scale = centres.new_tensor([index_to_normalised(n, corners)[0] for n in reversed(out)])
    scales = centres.new_tensor([half_extent(n, corners) for n in reversed(size)])[:, None] * scale
    pyramid: Pyramid | None = None
    found, rows, places = [], [], []
    for start in range(0, len(centres), _AT_ONCE):
        here = centres[start : start + _AT_ONCE]
        steps = _jacobians(mapping, theta, here) * scales  # pixels of the image for one of the output
        for entry, where, along in _groups(steps.detach(), most):
            pyramid = pyramid or pyramid_of(image, rule)
            points = here[where, None] + _offsets(along, centres) * scale
            coords = mapping(_entry(theta, entry), points.reshape(1, -1, len(out)))
            step = (steps[entry, where] / steps.new_tensor(along)).repeat_interleave(math.prod(along), 0)
            images = slice(None) if steps.shape[0] == 1 else slice(entry, entry + 1) if len(image) > 1 else slice(1)
            values = _read(pyramid, pixels_of(coords, size, corners), step.norm(dim=-1), images)
            values = torch.where(_inside(coords, rule.padding), values, pyramid.beyond(values))
            means = pyramid.with_fill(values.reshape(*values.shape[:2], len(where), -1).mean(-1))
            for k, mean in enumerate(means):
                found.append(mean)
                rows.append(torch.full_like(where, k if len(means) > 1 else entry))
                places.append(where + start)
    if not found:
        return plain
    values = saturated(torch.cat(found, dim=1).mT, plain.dtype)
    result = _put(plain.flatten(2).movedim(1, -1), (torch.cat(rows), torch.cat(places)), values)
    return result.movedim(-1, 1).reshape(plain.shape)


def _put(into: Tensor, where: tuple[Tensor, ...], values: Tensor) -> Tensor:
    signed = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}.get(into.dtype)
    if signed is not None:  # torch puts no wide unsigned integers
        return _put(into.contiguous().view(signed), where, values.contiguous().view(signed)).view(into.dtype)
    return into.index_put(where, values)


def _by_matrix(plain: Tensor, image: Tensor, mapping: Transform, theta: Tensor, rule: Rule, most: int) -> Tensor:
    """The same for affine maps, which have one footprint everywhere: no coordinates are kept, as in `warp`."""
    size, out, corners = size_of(image), tuple(plain.shape[2:]), rule.align_corners
    rows = affine_part(checked_matrix(mapping, theta.to(wide(theta.device))))
    there = rows.new_tensor([half_extent(n, corners) for n in reversed(size)])[:, None]
    here = rows.new_tensor([*(index_to_normalised(n, corners)[0] for n in reversed(out)), 1.0])
    matrix = rows * there * here  # from output pixels to pixels of the image, each counted from its middle
    d = len(out)
    pyramid: Pyramid | None = None
    result = plain
    for images, numbers in _alike(matrix.detach()[:, :, :d], most):
        pyramid = pyramid or pyramid_of(image, rule)
        own = matrix[images]
        widths = (own[:, :, :d] / own.new_tensor(numbers)).norm(dim=-1)
        exponents = _exponents(widths, pyramid)
        low = exponents.detach().floor().long()
        for level in torch.unique(low, dim=0):
            mine = (low == level).all(-1)
            chosen, shares = own[mine], (exponents - low)[mine]
            each = images[mine] if len(matrix) > 1 else slice(None)
            bands = []
            for band, middle in _bands(out, numbers):
                fine = [n * k for n, k in zip(band, reversed(numbers), strict=True)]
                start = chosen[:, :, d:] + chosen[:, :, d - 1 : d] * middle
                moved = torch.cat([chosen[:, :, :d] / own.new_tensor(numbers), start], dim=2)
                total: Any = 0.0
                for up, weight in _corners(shares):
                    at = tuple((level + level.new_tensor(up)).tolist())
                    total = total + _column(weight, plain) * pyramid.read_matrix(at, moved, fine, each)
                bands.append(_pooled(total, numbers))
            means = saturated(pyramid.with_fill(torch.cat(bands, dim=2)), plain.dtype)
            result = means if len(matrix) == 1 else _put(result, (images[mine],), means)
    return result


def _bands(out: tuple[int, ...], numbers: tuple[int, ...]) -> Iterator[tuple[list[int], float]]:
    """Bands of an output, a few of its slowest rows at a time: the size, and how far its middle lies from the whole's.

    So that the pixels that one band reads are still in the cache for its next sub-points.
    """
    rows = max(1, _AT_ONCE // max(1, math.prod(out[1:]) * math.prod(numbers)))
    for start in range(0, out[0], rows):
        stop = min(start + rows, out[0])
        yield [stop - start, *out[1:]], (start + stop - out[0]) / 2


def _pooled(values: Tensor, numbers: tuple[int, ...]) -> Tensor:
    """The means over the sub-points of each output pixel; `numbers` go x, y, z."""
    for axis, n in enumerate(numbers):
        at = values.ndim - 1 - axis
        shape = (*values.shape[:at], values.shape[at] // n, n, *values.shape[at + 1 :])
        values = values.reshape(shape).mean(at + 1)
    return values


def _alike(steps: Tensor, most: int) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """Batch entries with as many sub-points along each axis, and their numbers."""
    large, counts = _counted(steps, most)
    for along in torch.unique(counts[large], dim=0):
        yield (large & (counts == along).all(-1)).nonzero().flatten(), tuple(along.tolist())


def _column(weight: Tensor, like: Tensor) -> Tensor:
    return weight.to(arithmetic(like.dtype, like.device)).reshape(-1, *[1] * (like.ndim - 1))


def _marked(plain: Tensor, image: Tensor, mapping: Transform, theta: Any, rule: Rule, most: int) -> Tensor:
    """NaN where anything outside has a part in the mean, too, where `fill` is NaN."""
    marks = rule.fill.isnan()
    clean = rule._replace(marks=False, words=None, fill=torch.where(marks, 0.0, rule.fill))
    found = antialiased(plain, image, mapping, theta, clean, most)
    with torch.no_grad():
        ones = torch.ones(1, 1, *size_of(image), dtype=torch.float32, device=image.device)
        blank = torch.ones(len(plain), 1, *plain.shape[2:], dtype=torch.float32, device=image.device)
        # Sums over the same numbers in the same order, wherever nothing is outside.
        extended = tuple("border" if mode in ("zeros", "none") else mode for mode in rule.padding)
        rules = (clean._replace(padding=extended), clean._replace(fill=clean.fill[:0]))
        whole, inside = (antialiased(blank, ones, mapping, theta, each, most) for each in rules)
    return torch.where((whole != inside) & marks.reshape(1, -1, *[1] * (plain.ndim - 2)), torch.nan, found)


def _jacobians(mapping: Transform, theta: Any, points: Tensor) -> Tensor:
    """∂T_i/∂p_j at [i, j], [B, M, D, D]."""
    if mapping.is_affine:  # the same everywhere
        one: Tensor = mapping.jacobian(theta, points[None, :1])
        return one.expand(-1, len(points), -1, -1)
    return mapping.jacobian(theta, points[None])


def _entry(theta: Any, entry: int) -> Any:
    """One θ of a batch, which may be a tuple of θ."""
    if isinstance(theta, Tensor):
        return theta if theta.shape[0] == 1 else theta[entry : entry + 1]
    return tuple(_entry(part, entry) for part in theta)


def _groups(steps: Tensor, most: int) -> Iterator[tuple[int, Tensor, tuple[int, ...]]]:
    """Output pixels that get as many sub-points along each axis, a few at a time: batch entry, places, numbers."""
    large, counts = _counted(steps, most)
    for entry in large.any(-1).nonzero().flatten().tolist():
        for along in torch.unique(counts[entry][large[entry]], dim=0):
            where = (large[entry] & (counts[entry] == along).all(-1)).nonzero().flatten()
            numbers = tuple(along.tolist())
            for part in where.split(max(1, _AT_ONCE // math.prod(numbers))):
                yield entry, part, numbers


def _counted(steps: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Where an output pixel covers more than one pixel of the image, and how many sub-points it then gets, x, y, z."""
    lengths = steps.norm(dim=-2)  # along the axes of the output
    large = (lengths > 1 + _SAME).any(-1) & lengths.isfinite().all(-1)
    return large, (lengths - 0.05).ceil().nan_to_num(1).clamp(1, most).long()


def _offsets(along: tuple[int, ...], like: Tensor) -> Tensor:
    """Where the sub-points of an output pixel lie, in pixels from its middle: [K, D], x, y, z."""
    each = [(torch.arange(n, dtype=like.dtype, device=like.device) + 0.5) / n - 0.5 for n in along]
    return torch.stack(torch.meshgrid(*each, indexing="ij"), dim=-1).flatten(0, -2)


def _read(pyramid: Pyramid, pixels: Tensor, widths: Tensor, images: slice) -> Tensor:
    """The image around points `[1, M, D]`, averaged over footprints of these widths `[M, D]`: `[N, C, M]`."""
    exponents = _exponents(widths, pyramid)
    low = exponents.detach().floor()
    shares = exponents - low  # of the next level
    code = functools.reduce(lambda a, b: 64 * a + b, low.long().unbind(-1))
    parts, order = [], []
    for each in torch.unique(code):
        mine = (code == each).nonzero().flatten()
        level = low[mine[0]].long()
        total: Any = 0.0
        for up, weight in _corners(shares[mine]):
            values = pyramid.read(tuple((level + level.new_tensor(up)).tolist()), pixels[:, mine], images)
            total = total + values * weight.to(values.real.dtype)
        order.append(mine)
        parts.append(total)
    if len(parts) == 1:
        found: Tensor = parts[0]
        return found
    back = torch.empty_like(code)
    back[torch.cat(order)] = torch.arange(len(back), device=back.device)
    return torch.cat(parts, dim=-1).index_select(-1, back)


def _exponents(widths: Tensor, pyramid: Pyramid) -> Tensor:
    """The level whose pixels are as wide, between whole ones; 0 where they are smaller than a pixel."""
    if bool((widths.detach() <= 1 + _SAME).all()):  # no level but the image itself, whatever θ learns
        return torch.zeros_like(widths)
    return torch.minimum((widths / (1 + _SAME)).clamp(min=1).log2(), widths.new_tensor(pyramid.top))


def _corners(shares: Tensor) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Between a level and the next along each axis, linearly: which of the two, and the weight of both, `[M]`."""
    for up in itertools.product((0, 1), repeat=shares.shape[-1]):
        weight = functools.reduce(torch.mul, (s if u else 1 - s for s, u in zip(shares.unbind(-1), up, strict=True)))
        if shares.requires_grad or bool((weight != 0).any()):
            yield up, weight


def _inside(coords: Tensor, padding: tuple[str, ...]) -> Tensor:
    """Where a point has a place in the extended image; an axis that is not extended ends at −1 and 1."""
    limits = coords.new_tensor([1 + _SAME if mode == "none" else math.inf for mode in padding])
    return (coords.isfinite() & (coords.abs() <= limits)).all(-1)
