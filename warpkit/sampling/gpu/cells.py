"""Push of any points without atomic additions: points sorted by their cell are added up in that order.

Every point has one cell, the index of its first tap. Cells are numbered after the boundary's rule: two whose taps lie
on the same pixels have one number. A lattice a little larger than the image, with a place for each tap of each cell,
then gathers without any rule, and is folded onto the image at the end. A place looks at a few points of each of its
cells; cells of many points are summed by programs of their own before.
"""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import locate, unravelled
from warpkit.sampling.gpu.pull import block
from warpkit.sampling.gpu.taps import REFLECTION_, WRAP_, ZEROS_, cell, modulo, moves, piece, rounding, weight


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
def number(
    where, table, keys, fractions, points, axes, where_strides, cells, HOW: tl.constexpr, BM: tl.constexpr,
):  # fmt: skip
    """Number the cell of each point: `keys` is [sets, points]; `fractions`, those in the cell, [sets, points, dims].

    What is pushed nowhere gets the number of all cells.
    """
    n, m, _, live, _ = block(1, points, HOW, BM, 1)
    x, _, alive = locate(where + n * where_strides[0], where_strides, m, live, axes, HOW)
    key = m.to(tl.int64) * 0
    below = tl.cast(1, tl.int64)
    for a in tl.static_range(HOW.dims):
        first, u = cell(x[a], table, a, False, axes, HOW)
        k, met = number_of(first, a, cells, axes, HOW)
        alive = alive & met
        if HOW.order[a] > 0:
            alive = alive & moves(x[a], a, axes)
        key += k * below
        below = below * cells[a]
        tl.store(fractions + (n * points + m) * HOW.dims + a, u, mask=live)
    tl.store(keys + n * points + m, tl.where(alive, key, below), mask=live)


@triton.jit
@no_type_check
def weight_at(fractions, m, met, t, table, axes, HOW: tl.constexpr):
    """The weight of tap t, x, y, z, at the points m of a set."""
    w = m.to(table.dtype.element_ty) * 0 + 1
    for a in tl.static_range(HOW.dims):
        u = tl.load(fractions + m * HOW.dims + a, mask=met, other=0.0)
        u, rows = piece(u, rounding(u.dtype, table, a, False, axes, HOW), a, HOW)
        w = w * weight(table, (0, u, rows, met), t[a], a, HOW)
    return w


@triton.jit
@no_type_check
def crowd(
    values, table, keys, fractions, order, starts, sums, channels, points, slots, row, axes, value_strides, cells,
    MANY: tl.constexpr, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sum the points of each cell that has MANY or more, tap by tap: `sums` is [images, slots, taps, channels].

    A slot stands for every MANYth of the sorted points. One or more of these lie in such a cell; the first is its own.
    `keys` is sorted; the rest as in `collect`.
    """
    TAPS: tl.constexpr = HOW.taps[0] * HOW.taps[1] * HOW.taps[2]
    program = tl.program_id(0).to(tl.int64)
    tap = program % TAPS
    slot = (program // TAPS) % slots
    n = (program // TAPS // slots // tl.cdiv(channels, BC)).to(tl.int64)
    c = (program // TAPS // slots) % tl.cdiv(channels, BC) * BC + tl.arange(0, BC)
    here = c < channels
    c = c.to(tl.int64) if HOW.long else c
    all_cells = tl.cast(cells[0], tl.int64) * cells[1] * cells[2]
    set_ = n * row
    key = tl.load(keys + set_ * points + slot * MANY)
    if key < all_cells:
        begin = tl.load(starts + set_ * (all_cells + 1) + key)
        end = tl.load(starts + set_ * (all_cells + 1) + key + 1)
        if (end - begin >= MANY) & (slot * MANY - begin < MANY):
            t = unravelled(tap, HOW.taps)
            from_ = values + n * value_strides[2] + c[None, :] * value_strides[1]
            total = tl.zeros((BC,), table.dtype.element_ty)
            for first in range(begin, end, BM):
                r = first + tl.arange(0, BM)
                m = tl.load(order + set_ * points + r, mask=r < end, other=0)
                w = weight_at(fractions + set_ * points * HOW.dims, m, r < end, t, table, axes, HOW)
                both = (r < end)[:, None] & here[None, :]
                value = tl.load(from_ + m[:, None] * value_strides[0], mask=both, other=0.0)
                total += tl.sum(tl.where(both, w[:, None] * value, 0.0), axis=0)
            tl.store(sums + ((n * slots + slot) * TAPS + tap) * channels + c, total, mask=here)


@triton.jit
@no_type_check
def collect(
    values, table, fractions, order, starts, sums, lattice, channels, places, points, slots, row, sets, axes,
    value_strides, cells, larger, MANY: tl.constexpr, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sum for each place of the larger lattice, [images, channels, places], the points of cells that have a tap there.

    `order`: the points sorted by cell, [sets of points, points]; `starts`: the first of each cell among them; `row`: 0
    where one set of points serves all images, else 1.
    """
    TAPS: tl.constexpr = HOW.taps[0] * HOW.taps[1] * HOW.taps[2]
    n, e, c, inside, here = block(channels, places, HOW, BM, BC)
    ex, ey, ez = unravelled(e, larger)
    all_cells = tl.cast(cells[0], tl.int64) * cells[1] * cells[2]
    total = tl.zeros((BM, BC), table.dtype.element_ty)
    for s in range(sets):
        image = n + s
        set_ = image * row
        from_ = values + image * value_strides[2] + c[None, :] * value_strides[1]
        for tap in range(TAPS):
            t = unravelled(tap, HOW.taps)
            kx, ky, kz = ex - t[0], ey - t[1], ez - t[2]
            live = inside & (kx >= 0) & (kx < cells[0]) & (ky >= 0) & (ky < cells[1]) & (kz >= 0) & (kz < cells[2])
            at = starts + set_ * (all_cells + 1) + (kz.to(tl.int64) * cells[1] + ky) * cells[0] + kx
            begin = tl.load(at, mask=live, other=0)
            count = tl.load(at + 1, mask=live, other=0) - begin
            few = tl.where(count < MANY, count, 0)
            for r in range(tl.max(few, axis=0)):
                m = tl.load(order + set_ * points + begin + r, mask=r < few, other=0)
                w = weight_at(fractions + set_ * points * HOW.dims, m, r < few, t, table, axes, HOW)
                both = (r < few)[:, None] & here[None, :]
                value = tl.load(from_ + m[:, None] * value_strides[0], mask=both, other=0.0)
                total += tl.where(both, w[:, None] * value, 0.0)
            slot = image * slots + tl.cdiv(begin, MANY)
            summed = sums + (slot * TAPS + tap)[:, None] * channels + c[None, :]
            total += tl.load(summed, mask=(count >= MANY)[:, None] & here[None, :], other=0.0)
    to = lattice + (n * channels + c[None, :]) * places + e[:, None]
    tl.store(to, total, mask=inside[:, None] & here[None, :])
