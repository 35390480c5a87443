"""The reference backend: eq. 3 in plain PyTorch, on any device, with any derivative. It says what is right."""

import functools
import itertools
import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from warpkit import geometry, tracing
from warpkit.boundary import is_beyond, place
from warpkit.kernels.fitting import Formula
from warpkit.kernels.table import Table
from warpkit.precision import arithmetic, saturated
from warpkit.sampling.backend import Backend
from warpkit.sampling.problem import Axis, Problem

_AT_ONCE = 2**17  # output pixels: what a slice of the batch works on stays in the cache
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


class Reference(Backend):
    """The reference in plain PyTorch, for any device and dtype, differentiable in everything."""

    is_differentiable = True

    def pull(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> Shaped[Tensor, "NB C *target"]:
        """Eq. 3, a few images at a time."""
        if image.is_meta and not (image.requires_grad or problem.where.requires_grad or problem.table.requires_grad):
            batch = problem.where.shape[0] if image.shape[0] == 1 else image.shape[0]
            return image.new_empty(batch, image.shape[1], *problem.target)  # there is nothing but a shape
        whole = not (image.is_floating_point() or image.is_complex())
        evaluate = _copy if whole and all(_takes_one(axis) for axis in problem.axes) else _interpolate
        points = [x.reshape(x.shape[0], math.prod(problem.target)) for x in problem.pixels()]
        together = max(1, _AT_ONCE // max(1, math.prod(problem.target)))
        if torch.compiler.is_compiling() or points[0].shape[0] <= together:
            result = evaluate(image, points, problem)
        else:
            images = torch.split(image, together) if image.shape[0] > 1 else itertools.repeat(image)
            slices = zip(
                images, *(torch.split(x, together) for x in points), strict=False
            )  # a shared image repeats without end
            result = torch.cat([evaluate(u, list(x), problem) for u, *x in slices])
        return result.reshape(*result.shape[:2], *problem.target)

    def push(
        self, values: Float[Tensor, "NB C *target"], problem: Problem, images: int
    ) -> Float[Tensor, "images C *S"]:
        """Eq. 6: each value times the taps' weights, added up where the taps lie."""
        batch, channels = values.shape[:2]
        count = math.prod(problem.target)
        points = [x.reshape(x.shape[0], count) for x in problem.pixels()]
        axes = _axes(points, problem, values.dtype)
        sizes = [n + 2 * (mode == "zeros") for n, mode in zip(problem.size, reversed(problem.padding), strict=True)]
        flat = values.reshape(batch, channels, count)
        for alive in _alive(points, problem):
            flat = torch.where(alive[:, None], flat, 0.0)
        result = flat.new_zeros(batch, channels, math.prod(sizes))
        for taps in itertools.product(*(axis.taps for axis in reversed(axes))):
            indices, factors, _ = zip(*taps, strict=True)
            index, weight = functools.reduce(torch.add, indices), functools.reduce(torch.mul, factors)
            result = result.scatter_add(2, index[:, None].expand_as(flat), flat * weight[:, None])
        result = result.reshape(batch, channels, *sizes)
        for axis, mode in enumerate(reversed(problem.padding)):
            if mode == "zeros":  # what fell outside
                result = result.narrow(2 + axis, 1, problem.size[axis])
        return result if images == batch else result.sum(0, keepdim=True)


def _takes_one(axis: Axis) -> bool:
    """Whether a kernel takes one pixel as it is: no arithmetic, so that labels stay labels."""
    table = axis.kernel
    return isinstance(table, Table) and table.coefficients.shape == (1, 1, 1) and table.order == 0 and table.unity


def _interpolate(
    image: Shaped[Tensor, "N C *S"], points: list[Float[Tensor, "B M"]], problem: Problem
) -> Shaped[Tensor, "NB C M"]:
    """The sum over all combinations of one tap an axis."""
    dtype = arithmetic(image.dtype, image.device)
    axes = _axes(points, problem, dtype)
    padded = _pad(image if image.is_complex() else image.to(dtype), problem)
    terms = (_term(padded, taps) for taps in itertools.product(*(axis.taps for axis in reversed(axes))))
    values, weight = next(terms)
    result = values * weight
    for values, weight in terms:
        result = torch.addcmul(result, values, weight)
    result = _by_image(result, padded, points)
    fill, inside = _column(problem.fill, result), None
    if "zeros" in problem.padding and problem.fill.numel() > 0:
        inside = functools.reduce(torch.mul, map(_share_inside, axes))
        result = result + fill * (problem.total - inside)[:, None]
    for alive in _alive(points, problem):
        result = torch.where(alive[:, None], result, fill * problem.total)
    if image.is_floating_point() or image.is_complex():
        return result
    whole, outside = saturated(result, image.dtype), saturated(_column(problem.fill, image), image.dtype)
    for alive in _alive(points, problem):
        whole = torch.where(alive[:, None], whole, outside)
    return whole if inside is None else torch.where(inside[:, None] == 0, outside, whole)


def _term(padded: Tensor, taps: tuple["_Tap", ...]) -> tuple[Tensor, Tensor]:
    """The pixels that one tap an axis meets, and the product of the taps' weights."""
    weight = functools.reduce(torch.mul, (tap.weight for tap in taps))
    values = _gather(padded, functools.reduce(torch.add, (tap.pixel for tap in taps)))
    for tap in taps:
        if tap.slope_alone is not None:  # a pixel that is no number counts in the derivative only
            values = torch.where(_beside(padded, tap.slope_alone) & ~values.isfinite(), 0.0, values)
    return values, _beside(padded, weight)


def _copy(
    image: Shaped[Tensor, "N C *S"], points: list[Float[Tensor, "B M"]], problem: Problem
) -> Shaped[Tensor, "NB C M"]:
    """One tap an axis, of weight one: labels stay labels."""
    axes = _axes(points, problem, torch.float32)
    padded = _pad(image, problem)
    index = functools.reduce(torch.add, (axis.taps[0].pixel for axis in axes))
    result = _by_image(_gather(padded, index), padded, points)
    fill = saturated(_column(problem.fill, image), image.dtype)
    for alive in (*(_inside(axis)[0] for axis in axes if axis.outer), *_alive(points, problem)):
        result = torch.where(alive[:, None], result, fill)
    return result


class _Tap(NamedTuple):
    """One tap of an axis: its pixel in the flattened padded image, and its weight."""

    pixel: Int[Tensor, "B M"]
    weight: Float[Tensor, "B M"]
    slope_alone: Bool[Tensor, "B M"] | None = None  # where it has a slope, and as a weight zero


class _Axis(NamedTuple):
    """The taps of one axis."""

    taps: list[_Tap]
    outer: tuple[int, int] | None  # the indices of the two pixels that stand for the outside, if there are such
    kernel: Table | Formula


def _inside(axis: _Axis) -> list[Bool[Tensor, "B M"]]:
    """Whether each tap lies inside the image."""
    if axis.outer is None:
        return [torch.ones_like(pixel, dtype=torch.bool) for pixel, *_ in axis.taps]
    first, last = axis.outer
    return [(pixel > first) & (pixel < last) for pixel, *_ in axis.taps]


def _share_inside(axis: _Axis) -> Float[Tensor, "B M"]:
    """The sum of the weights inside: exactly their total where all of them are, so that nothing is filled in there."""
    inside = _inside(axis)
    share = functools.reduce(
        torch.add, (torch.where(i, w, 0.0) for i, (_, w, _) in zip(inside, axis.taps, strict=True))
    )
    if not axis.kernel.unity:
        return share
    return torch.where(functools.reduce(torch.logical_and, inside), 0.0 if axis.kernel.order else 1.0, share)


def _axes(points: list[Float[Tensor, "B M"]], problem: Problem, dtype: torch.dtype) -> list[_Axis]:
    axes, stride = [], 1
    each = zip(points, problem.axes, reversed(problem.extent), reversed(problem.begin), strict=True)
    for x, (n, mode, kernel), extent, begin in each:
        most = geometry.limit(extent)
        x = geometry.limited(x, most)
        taps = _taps(x, kernel, problem.rounding(extent), dtype)
        if kernel.order:  # what was brought in to the limit does not move
            taps = [tap._replace(weight=torch.where(x.abs() < most, tap.weight, 0.0)) for tap in taps]
        # Once they are whole numbers: so a part of an image has the same fractions as the whole.
        taps = [tap._replace(pixel=place(tap.pixel - begin, n, mode, problem.align_corners) * stride) for tap in taps]
        outer = (0, (n + 1) * stride) if mode == "zeros" else None
        axes.append(_Axis(taps, outer, kernel))
        stride *= n + 2 * (mode == "zeros")
    return axes


def _taps(x: Float[Tensor, "B M"], kernel: Table | Formula, eps: float, dtype: torch.dtype) -> list[_Tap]:
    """The taps of each pixel coordinate along an axis; their indices are those before the boundary's rule.

    What lies up to ε to the left of a joint has the derivative on its right, since its rounding says nothing of the
    side. Its value, where both sides agree at the joint, is the left side's own: so there is a tap more. Where numbers
    cannot be looked at, the right side's polynomial is continued, which is as much as ε times the slopes' difference
    away.
    """
    radius = kernel.taps / 2
    first = torch.floor(x.detach() - radius + eps) + 1
    weights = kernel.weights((x - (first + (radius - 1))).to(dtype), eps)
    index = first.long()
    if not (x.device.type != "cpu" or tracing.is_traced(x) or x.numel() == 0 or _jumps(kernel)):
        own_first = torch.floor(x.detach() - radius) + 1
        left = own_first < first
        if kernel.pieces > 1 or bool(left.any()):
            own = kernel.weights((x.detach() - (own_first + (radius - 1))).to(dtype), 0.0)
            none = torch.zeros_like(own[0])
            rights, lefts, straight = [none, *weights], [*own, none], [none, *own]
            values = [torch.where(left, a, b) for a, b in zip(lefts, straight, strict=True)]
            weights = [w + (value - w).detach() for w, value in zip(rights, values, strict=True)]
            # Where there is no tap more, it is the first one again: another pixel, at weight zero, might be NaN.
            indices = [torch.where(left, index - 1, index), *(index + t for t in range(kernel.taps))]
            *most, last = map(_Tap, indices, weights)
            return [*most, last._replace(slope_alone=left)]
    return [_Tap(index + t, w) for t, w in enumerate(weights)]


def _jumps(kernel: Table | Formula) -> bool:
    """Whether a weight jumps where a tap passes from one cell, or piece of one, to the next."""
    if kernel.taps == 1:
        return True
    at = torch.tensor([0.0, 1.0], dtype=torch.float64) if isinstance(kernel, Formula) else None
    with torch.no_grad():
        if at is not None:
            begin, end = torch.stack(kernel.weights(at, 0.0), dim=-1)  # [2, taps]
            gap = torch.nn.functional.pad(end, (0, 1)) - torch.nn.functional.pad(begin, (1, 0))
            return bool(gap.abs().max() > 1e-6)
        assert isinstance(kernel, Table)
        begins, ends = kernel.coefficients[..., 0], kernel.coefficients.sum(-1)  # [pieces, taps]
        gap = torch.nn.functional.pad(ends[-1], (0, 1)) - torch.nn.functional.pad(begins[0], (1, 0))
        return bool(gap.abs().max() > 1e-9) or bool(((ends[:-1] - begins[1:]).abs() > 1e-9).any())


def _alive(points: list[Float[Tensor, "B M"]], problem: Problem) -> list[Bool[Tensor, "B M"]]:
    """Where a point is none of those that get `fill` whatever the padding; under zeros that is outside already."""
    found = []
    for x, mode, extent in zip(points, problem.padding, reversed(problem.extent), strict=True):
        if mode == "none":
            found.append(~is_beyond(x, extent, problem.align_corners, problem.rounding(extent)))
        elif mode != "zeros":
            found.append(torch.isfinite(x))
    return found


def _pad(image: Shaped[Tensor, "N C *S"], problem: Problem) -> Shaped[Tensor, "N C *P"]:
    """Outside taps of an axis of zeros read one more pixel beyond its edge: selected, never multiplied by zero."""
    widths = [int(mode == "zeros") for mode in problem.padding for _ in range(2)]
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


def _column(fill: Shaped[Tensor, " A"], like: Tensor) -> Shaped[Tensor, "1 K 1"]:
    """`fill` for each channel, or one for all, on the device of `like` and, among floats, in its type."""
    fill = fill if fill.numel() else torch.zeros(1, dtype=fill.dtype, device=fill.device)
    whole = not (like.is_floating_point() or like.is_complex())
    return (fill.to(like.device) if whole else fill.to(like.device, like.dtype)).reshape(1, -1, 1)
