"""Push of any points without atomic additions: points sorted by their cell are added up in that order.

Every point has one cell, the index of its first tap. Cells are numbered after the boundary's rule: two whose taps lie
on the same pixels have one number. A lattice a little larger than the image, with a place for each tap of each cell,
then gathers without any rule, and is folded onto the image at the end.
"""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import locate, unravelled
from warpkit.sampling.gpu.pull import block, taps_along
from warpkit.sampling.gpu.taps import REFLECTION_, WRAP_, ZEROS_, modulo, weight


@triton.jit
@no_type_check
def number_of(first, A: tl.constexpr, cells, axes, HOW: tl.constexpr):
    """The number of the cell whose first tap that is, among `cells` along an axis, and whether any tap is read."""
    n = tl.cast(axes.size[A], first.dtype)
    met = first == first
    if HOW.padding[A] == WRAP_:
        k = modulo(first, n)
    elif HOW.padding[A] == REFLECTION_:
        k = modulo(first, tl.cast(cells[A], first.dtype))
    else:
        k = first + (HOW.taps[A] - 1)
        if HOW.padding[A] == ZEROS_:
            met = (k >= 0) & (k < cells[A])
    return tl.minimum(tl.maximum(k, 0), cells[A] - 1).to(tl.int64), met


@triton.jit
@no_type_check
def number(where, table, keys, points, axes, where_strides, cells, HOW: tl.constexpr, BM: tl.constexpr):
    """Number the cell of each point: `keys` is [sets, points]. What is pushed nowhere gets the number of all cells."""
    n, m, _, live, _ = block(1, points, HOW, BM, 1)
    x, _, alive = locate(where + n * where_strides[0], where_strides, m, live, axes, HOW)
    key = m.to(tl.int64) * 0
    below = tl.cast(1, tl.int64)
    for a in tl.static_range(HOW.dims):
        along = taps_along(x, table, a, False, axes, HOW)
        k, met = number_of(along[0], a, cells, axes, HOW)
        alive = alive & met
        key += k * below
        below = below * cells[a]
    tl.store(keys + n * points + m, tl.where(alive, key, below), mask=live)


@triton.jit
@no_type_check
def tap_of(along, table, t, A: tl.constexpr, HOW: tl.constexpr):
    """The weight of tap t along an axis; 1 along one that is not there."""
    if HOW.dims > A:
        return weight(table, along, t, A, HOW)
    else:
        return along[1] + 1


@triton.jit
@no_type_check
def collect(
    values, where, table, order, starts, lattice, channels, places, points, sets, axes, value_strides, where_strides,
    cells, larger, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sum for each place of the larger lattice, [images, channels, places], the points of cells that have a tap there.

    `order`: the points sorted by cell, [sets of points, points]; `starts`: the first of each cell among them.
    """
    n, e, c, inside, here = block(channels, places, HOW, BM, BC)
    ex, ey, ez = unravelled(e, larger)
    all_cells = tl.cast(cells[0], tl.int64) * cells[1] * cells[2]
    kind: tl.constexpr = table.dtype.element_ty
    total = tl.zeros((BM, BC), kind)
    for s in range(sets):
        image = n + s
        row = tl.where(where_strides[0] == 0, 0, image)
        from_ = values + image * value_strides[2] + c[None, :] * value_strides[1]
        for tz in range(HOW.taps[2]):
            for ty in range(HOW.taps[1]):
                for tx in range(HOW.taps[0]):
                    kx, ky, kz = ex - tx, ey - ty, ez - tz
                    live = inside & (kx >= 0) & (kx < cells[0]) & (ky >= 0) & (ky < cells[1])
                    live = live & (kz >= 0) & (kz < cells[2])
                    key = (kz.to(tl.int64) * cells[1] + ky) * cells[0] + kx
                    at = starts + row * (all_cells + 1) + key
                    begin = tl.load(at, mask=live, other=0)
                    end = tl.load(at + 1, mask=live, other=0)
                    for r in range(tl.max(end - begin, axis=0)):
                        met = live & (begin + r < end)
                        m = tl.load(order + row * points + begin + r, mask=met, other=0)
                        x, _, _ = locate(where + image * where_strides[0], where_strides, m, met, axes, HOW)
                        w = tap_of(taps_along(x, table, 0, False, axes, HOW), table, tx, 0, HOW)
                        w = w * tap_of(taps_along(x, table, 1, False, axes, HOW), table, ty, 1, HOW)
                        w = w * tap_of(taps_along(x, table, 2, False, axes, HOW), table, tz, 2, HOW)
                        both = met[:, None] & here[None, :]
                        value = tl.load(from_ + m[:, None] * value_strides[0], mask=both, other=0.0)
                        total += tl.where(both, w[:, None] * value, 0.0)
    to = lattice + (n * channels + c[None, :]) * places + e[:, None]
    tl.store(to, total, mask=inside[:, None] & here[None, :])
