"""Push in a fixed order, where PyTorch is asked for deterministic algorithms: the same bits each time."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from warpkit.boundary import place
from warpkit.sampling.gpu.cells import collect, crowd, number
from warpkit.sampling.gpu.gather import gather
from warpkit.sampling.gpu.launch import (
    Call,
    fresh,
    image_strides,
    is_last,
    laid_out,
    point_strides,
    start,
    three,
    walked,
)
from warpkit.sampling.problem import Problem

_MANY = 256  # points: programs of its own sum up a cell that has as many


def push(values: Tensor, problem: Problem, images: int) -> Tensor:
    """Eq. 6: by an affine matrix under "zeros" a gather, which needs no memory; else by sorting the points."""
    if problem.kind == "affine" and set(problem.padding) == {"zeros"}:
        return _gathered(values, problem, images)
    return _sorted(values, problem, images)


def _gathered(values: Tensor, problem: Problem, images: int) -> Tensor:
    channels = values.shape[1]
    image = laid_out((images, channels, *problem.size), values, values.dtype)
    call = Call(problem, values.dtype, image, values)
    flat, strides = point_strides(values, call.points)
    shape, pixels = walked(channels, is_last(image)), math.prod(problem.size)
    sets = values.shape[0] if images == 1 else 1
    start(
        gather, call.programs(images, channels, shape, pixels), image.device, flat, call.where, call.table, image,
        channels, pixels, sets, call.axes, image_strides(image), strides, call.where_strides, call.how, *shape,
    )  # fmt: skip
    return image


class Sorted(NamedTuple):
    """Points sorted by cell: the cells' numbers, in order; each point's fractions; which point comes when; and where
    among these each cell begins.
    """

    keys: Tensor
    fractions: Tensor
    order: Tensor
    starts: Tensor


def _sorted(values: Tensor, problem: Problem, images: int) -> Tensor:
    (given, channels), taps = (
        values.shape[:2],
        problem.kernels[1::6][::-1],
    )  # rows first, but for the kernels' arguments
    cells = [
        _cells(n, t, mode, problem.align_corners)
        for n, t, mode in zip(problem.size, taps, problem.padding[::-1], strict=True)
    ]
    larger = [n + t - 1 for n, t in zip(cells, taps, strict=True)]
    lattice = fresh((images, channels, *larger), values.dtype, values.device)
    call = Call(problem, values.dtype, lattice, values)
    points = _by_cell(call, cells, values)
    many = max(_MANY, 1 << (math.prod(taps) - 1).bit_length())  # so the sums are no more numbers than the values
    slots = -(-call.points // many)
    sums = fresh((given, slots, *taps, channels), values.dtype, values.device)
    flat, strides = point_strides(values, call.points)
    shape, row = walked(channels, False), int(call.where.shape[0] > 1)
    if call.points >= many:
        start(
            crowd, given * slots * math.prod(taps) * -(-channels // shape[1]), values.device, flat, call.table,
            *points, sums, channels, call.points, slots, row, call.axes, strides, three(cells), many, call.how, *shape,
        )  # fmt: skip
    places, sets = math.prod(larger), given if images == 1 else 1
    start(
        collect, call.programs(images, channels, shape, places), values.device, flat, call.table, *points[1:], sums,
        lattice, channels, places, call.points, slots, row, sets, call.axes, strides, three(cells), three(larger),
        many, call.how, *shape,
    )  # fmt: skip
    folded = _folded(lattice, problem, taps)
    image = laid_out(folded.shape, values, values.dtype)
    return image.copy_(folded)


def _by_cell(call: Call, cells: list[int], values: Tensor) -> Sorted:
    rows, device, shape = call.where.shape[0], values.device, walked(1, False)
    keys = fresh((rows, call.points), torch.int64, device)
    fractions = fresh((rows, call.points, call.how.dims), values.dtype, device)
    start(
        number, call.programs(rows, 1, shape), device, call.where, call.table, keys, fractions, call.points,
        call.axes, call.where_strides, three(cells), call.how, shape[0],
    )  # fmt: skip
    keys, order = keys.sort(dim=1, stable=True)
    every = torch.arange(math.prod(cells) + 1, device=device).expand(rows, -1).contiguous()
    return Sorted(keys, fractions, order, torch.searchsorted(keys, every))


def _cells(n: int, taps: int, mode: str, align_corners: bool) -> int:
    """How many cells along an axis are told apart."""
    if mode == "wrap":
        return n
    if mode == "reflection":
        return max(2 * n - 2, 1) if align_corners else 2 * n
    return n + taps - 1


def _folded(lattice: Tensor, problem: Problem, taps: tuple[int, ...]) -> Tensor:
    """The larger lattice brought onto the image by the boundary's rule, axis by axis."""
    for axis, (n, t, mode) in enumerate(zip(problem.size, taps, problem.padding[::-1], strict=True)):
        places = torch.arange(lattice.shape[2 + axis], device=lattice.device)
        if mode == "zeros":
            lattice = lattice.narrow(2 + axis, t - 1, n)
            continue
        if mode in ("border", "none"):
            places = places - (t - 1)
        shape = [*lattice.shape[: 2 + axis], n, *lattice.shape[3 + axis :]]
        at = place(places, n, mode, problem.align_corners)
        lattice = lattice.new_zeros(shape).index_add(2 + axis, at, lattice)
    return lattice
