"""The reference backend: eq. 3 in plain PyTorch, on any device, with any derivative. It says what is right."""

import functools
import itertools
import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from warpkit import tracing
from warpkit.kernels.table import copies
from warpkit.lattice import index_to_normalised, to_pixels
from warpkit.precision import wide, working
from warpkit.sampling.backend import Backend, Rule
from warpkit.sampling.boundary import place
from warpkit.transforms.matrix import perspective

# pixels; further out every index is outside, and int64 never overflows
_LIMIT, _LIMIT_OF_LONG = 2.0**30, 2.0**52
_LONG = 2**29
_AT_ONCE = 2**17  # output pixels: what a slice of the batch works on stays in the cache
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


class Reference(Backend):
    """Plain PyTorch."""

    def sample_points(
        self, image: Shaped[Tensor, "N C *S"], coords: Float[Tensor, "B *T D"], rule: Rule
    ) -> Shaped[Tensor, "NB C *T"]:
        """Coordinates to pixels, then eq. 3."""
        size = image.shape[:1:-1]
        pixels = [to_pixels(x, n, rule.align_corners) for x, n in zip(coords.unbind(-1), size, strict=True)]
        return _sample(image, pixels, rule)

    def sample_matrix(
        self,
        image: Shaped[Tensor, "N C *S"],
        matrix: Float[Tensor, "B E E"],
        is_affine: bool,
        size: tuple[int, ...],
        rule: Rule,
    ) -> Shaped[Tensor, "NB C *size"]:
        """The matrix from output index to image index, a sum of one row for each axis, then eq. 3."""
        return _sample(image, _matrix_pixels(matrix, is_affine, size, tuple(image.shape[2:]), rule.align_corners), rule)


def _matrix_pixels(
    matrix: Float[Tensor, "B E E"],
    is_affine: bool,
    out_size: tuple[int, ...],
    in_size: tuple[int, ...],
    align_corners: bool,
) -> list[Float[Tensor, "B *out_size"]]:
    """Pixel coordinates x, y, z of every output pixel."""
    d = len(in_size)
    scales, offsets = zip(*(index_to_normalised(n, align_corners) for n in reversed(out_size)), strict=True)
    from_index = torch.diag(matrix.new_tensor((*scales, 1.0)))
    from_index[:d, d] = matrix.new_tensor(offsets)
    columns = matrix @ from_index
    along = [
        torch.arange(n, dtype=matrix.dtype, device=matrix.device).reshape([-1] + [1] * axis)
        for axis, n in enumerate(reversed(out_size))
    ]
    half = [(n - 1) / 2 if align_corners else n / 2 for n in reversed(in_size)]
    centre = [(n - 1) / 2 for n in reversed(in_size)]
    last = torch.eye(d + 1, dtype=matrix.dtype, device=matrix.device)[d]
    if is_affine:
        pixels = [_at_every_index(columns[:, e] * half[e] + last * centre[e], along) for e in range(d)]
    else:
        *numerators, w = (_at_every_index(columns[:, e], along) for e in range(d + 1))
        pixels = [x * half[e] + centre[e] for e, x in enumerate(perspective(numerators, w))]
    return [x.expand(-1, *out_size) for x in pixels]


def _at_every_index(row: Float[Tensor, "B E"], along: list[Tensor]) -> Float[Tensor, "B *size"]:
    """A row of a matrix times every output index, which is `along` each axis."""
    *slopes, start = (value.reshape(-1, *[1] * len(along)) for value in row.unbind(-1))
    return functools.reduce(torch.add, (slope * index for slope, index in zip(slopes, along, strict=True)), start)


def _sample(
    image: Shaped[Tensor, "N C *S"], pixels: list[Float[Tensor, "B *T"]], rule: Rule
) -> Shaped[Tensor, "NB C *T"]:
    """Eq. 3 at pixel coordinates x, y, z, a few images at a time."""
    numbers = image.is_floating_point() or image.is_complex()
    evaluate = _interpolate if numbers or not all(map(copies, rule.kernels)) else _copy
    target = pixels[0].shape[1:]
    points = [x.reshape(x.shape[0], math.prod(target)) for x in pixels]
    together = max(1, _AT_ONCE // max(1, math.prod(target)))
    if torch.compiler.is_compiling() or points[0].shape[0] <= together:
        result = evaluate(image, points, rule)
    else:
        images = torch.split(image, together) if image.shape[0] > 1 else itertools.repeat(image)
        slices = zip(
            images, *(torch.split(x, together) for x in points), strict=False
        )  # a shared image repeats without end
        result = torch.cat([evaluate(u, list(x), rule) for u, *x in slices])
    return result.reshape(*result.shape[:2], *target)


def _interpolate(
    image: Shaped[Tensor, "N C *S"], points: list[Float[Tensor, "B M"]], rule: Rule
) -> Shaped[Tensor, "NB C M"]:
    """The sum over all combinations of one tap an axis."""
    dtype = _arithmetic(image)
    axes = _axes(image, points, rule, torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32)
    padded = _pad(image.to(dtype), rule)
    terms = (_term(padded, taps) for taps in itertools.product(*(axis.taps for axis in reversed(axes))))
    values, weight = next(terms)
    result = values * weight
    for values, weight in terms:
        result = torch.addcmul(result, values, weight)
    result = _by_image(result, padded, points)
    if "zeros" in rule.padding and (isinstance(rule.fill, Tensor) or rule.fill != 0):
        inside = functools.reduce(torch.mul, map(_share_inside, axes))
        result = result + _column(rule.fill, result) * (1 - inside)[:, None]
    return _saturated(_filled(result, points, rule), image.dtype)


def _term(padded: Tensor, taps: tuple[tuple[Tensor, Tensor], ...]) -> tuple[Tensor, Tensor]:
    """The pixels that one tap an axis meets, and the product of the taps' weights."""
    indices, factors = zip(*taps, strict=True)
    weight = functools.reduce(torch.mul, factors)
    return _gather(padded, functools.reduce(torch.add, indices)), _beside(padded, weight)


def _copy(image: Shaped[Tensor, "N C *S"], points: list[Float[Tensor, "B M"]], rule: Rule) -> Shaped[Tensor, "NB C M"]:
    """One tap an axis, of weight one: labels stay labels."""
    axes = _axes(image, points, rule, torch.float32)
    padded = _pad(image, rule)
    index = functools.reduce(torch.add, (axis.taps[0][0] for axis in axes))
    result = _by_image(_gather(padded, index), padded, points)
    numbers = torch.zeros((), dtype=wide(image.device), device=image.device)
    fill = _saturated(_column(rule.fill, numbers), image.dtype)
    for axis in axes:
        result = torch.where(_inside(axis)[0][:, None], result, fill)
    return _filled(result, points, rule._replace(fill=fill.flatten()))


class _Axis(NamedTuple):
    """The taps of one axis: (index into the flattened padded image, weight) each."""

    taps: list[tuple[Int[Tensor, "B M"], Float[Tensor, "B M"]]]
    outer: tuple[int, int] | None  # the indices of the two pixels that stand for the outside, if there are such
    partition_of_unity: bool


def _inside(axis: _Axis) -> list[Bool[Tensor, "B M"]]:
    """Whether each tap lies inside the image."""
    if axis.outer is None:
        return [torch.ones_like(index, dtype=torch.bool) for index, _ in axis.taps]
    first, last = axis.outer
    return [(index > first) & (index < last) for index, _ in axis.taps]


def _share_inside(axis: _Axis) -> Float[Tensor, "B M"]:
    """The sum of the weights inside: exactly one where all of them are, so that nothing is filled in there."""
    inside = _inside(axis)
    share = functools.reduce(torch.add, (torch.where(i, w, 0.0) for i, (_, w) in zip(inside, axis.taps, strict=True)))
    if not axis.partition_of_unity:
        return share
    return torch.where(functools.reduce(torch.logical_and, inside), 1.0, share)


def _axes(image: Tensor, points: list[Float[Tensor, "B M"]], rule: Rule, dtype: torch.dtype) -> list[_Axis]:
    axes, stride = [], 1
    for x, n, kernel, mode in zip(points, image.shape[:1:-1], rule.kernels, rule.padding, strict=True):
        x = _limited(x, _LIMIT if tracing.is_traced(image) or n < _LONG else _LIMIT_OF_LONG)
        eps = 2 * torch.finfo(x.dtype).eps * n
        # ε forgives the coordinate's own rounding: what is that near a joint is on it, and an identity is exact.
        first = torch.floor(x.detach() - kernel.radius + eps) + 1
        fraction = (x - (first - (1 - kernel.radius))).to(dtype)
        fraction = fraction - torch.where(fraction.detach().abs() <= eps, fraction.detach(), 0.0)
        index = [place(first.long() + t, n, mode, rule.align_corners) * stride for t in range(kernel.taps)]
        taps = list(zip(index, kernel.weights(fraction, eps), strict=True))
        outer = (0, (n + 1) * stride) if mode == "zeros" else None
        axes.append(_Axis(taps, outer, kernel.partition_of_unity))
        stride *= n + 2 * (mode == "zeros")
    return axes


def _limited(x: Float[Tensor, "B M"], limit: float) -> Float[Tensor, "B M"]:
    """Within ±limit; what is not finite goes far outside, and under another padding than zeros is filled at the end."""
    if x.device.type == "cpu" and x.numel() > 0 and not tracing.is_traced(x):
        low, high = x.detach().aminmax()
        if low >= -limit and high <= limit:  # nearly always, and not so with a NaN: two passes fewer
            return x
    return x.nan_to_num(-limit, limit, -limit).clamp(-limit, limit)


def _pad(image: Shaped[Tensor, "N C *S"], rule: Rule) -> Shaped[Tensor, "N C *P"]:
    """Outside taps of an axis of zeros read one more pixel beyond its edge: selected, never multiplied by zero."""
    widths = [int(mode == "zeros") for mode in rule.padding for _ in range(2)]
    return torch.nn.functional.pad(image, widths) if any(widths) else image


def _gather(padded: Shaped[Tensor, "N C *P"], index: Int[Tensor, "B M"]) -> Shaped[Tensor, "R C K"]:
    """The pixels at these indices: [NB, C, M], or [1, C, B·M] where all read the same image."""
    rows = _beside(padded, index)
    flat = padded.flatten(2).expand(max(rows.shape[0], padded.shape[0]) if padded.shape[0] else 0, -1, -1)
    rows = rows.expand(flat.shape[0], flat.shape[1], -1)
    if padded.dtype in _SIGNED:  # torch gathers no wide unsigned integers
        return flat.view(_SIGNED[padded.dtype]).gather(2, rows).view(padded.dtype)
    return flat.gather(2, rows)


def _beside(padded: Tensor, values: Shaped[Tensor, "B M"]) -> Shaped[Tensor, "R 1 K"]:
    """What belongs to each point, beside the channels that `_gather` gives."""
    return values.reshape(1, 1, -1) if padded.shape[0] == 1 else values[:, None]


def _by_image(values: Shaped[Tensor, "R C K"], padded: Tensor, points: list[Tensor]) -> Shaped[Tensor, "NB C M"]:
    """What `_gather` gave, image by image."""
    if padded.shape[0] != 1:
        return values
    return values.reshape(values.shape[1], *points[0].shape).transpose(0, 1)


def _filled(values: Shaped[Tensor, "NB C M"], points: list[Tensor], rule: Rule) -> Shaped[Tensor, "NB C M"]:
    """`fill` where a coordinate is not finite; under zeros that is outside already."""
    for x, mode in zip(points, rule.padding, strict=True):
        if mode != "zeros":
            values = torch.where(torch.isfinite(x)[:, None], values, _column(rule.fill, values))
    return values


def _column(fill: float | Tensor, like: Tensor) -> Shaped[Tensor, "1 A 1"]:
    """`fill` for each channel, or one for all, in the type and on the device of `like`."""
    fill = fill if isinstance(fill, Tensor) else torch.full((1,), fill, dtype=torch.float64)
    return fill.to(like.device, like.dtype).reshape(1, -1, 1)


def _arithmetic(image: Tensor) -> torch.dtype:
    """The type to interpolate in: float32 at least, float64 for integers that float32 cannot hold."""
    if image.is_complex() or image.is_floating_point():
        return torch.promote_types(image.dtype, torch.float32)
    return working(wide(image.device)) if image.dtype.itemsize >= 4 else torch.float32


def _saturated(values: Shaped[Tensor, "*S"], dtype: torch.dtype) -> Shaped[Tensor, "*S"]:
    """To the image's type: integers are rounded, and stop at the type's limits."""
    if dtype.is_floating_point or dtype.is_complex:
        return values.to(dtype)
    values = values.detach().round()
    if dtype == torch.bool:
        return values >= 1
    info = torch.iinfo(dtype)
    # Selected, not clamped: as a float the largest int64 is one too many, and would wrap.
    above, below = values >= float(info.max), values <= float(info.min)
    low, high = (torch.full((), limit, dtype=dtype, device=values.device) for limit in (info.min, info.max))
    whole = torch.where(above | below | values.isnan(), 0.0, values).to(dtype)
    return torch.where(above, high, torch.where(below, low, whole))
