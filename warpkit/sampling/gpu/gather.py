"""Push by an affine matrix without atomic additions: each pixel of the image gathers what is pushed to it.

A pixel is met by the output points whose coordinates lie within a radius r of it along every axis: those in the
parallelogram (in 3-D the parallelepiped) A⁻¹(pixel ± r). Its rows are those of its bounding box, and along a row each
axis of the image bounds the points from two sides. They are met row by row, so the sum has one order; each is looked at
as `pull` does, which decides whether it belongs here. Of a singular matrix the bounding box is the whole output.
"""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import brought_in, by_matrix, from_middle, middle, row_of, unravelled
from warpkit.sampling.gpu.pull import block, taps_along
from warpkit.sampling.gpu.taps import weight

SINGULAR_ = tl.constexpr(1e-6)  # of a determinant, beside its rows: less, and the inverse has lost its digits
MARGIN_ = tl.constexpr(1e-3)  # pixels: what rounding of the bounds can come to, and ε
FAR_ = tl.constexpr(2.0**60)


@triton.jit
@no_type_check
def whole_range(low, high, live, B: tl.constexpr, axes):
    """First and last index of the part of the output between two bounds, which count from the middle of the whole; none
    where not `live`.
    """
    start, last = middle(axes.whole[B]) - axes.origin[B], tl.cast(axes.part[B] - 1, tl.float64)
    first = tl.minimum(tl.maximum(tl.ceil(low + start - MARGIN_), 0.0), last + 1)
    final = tl.minimum(tl.maximum(tl.floor(high + start + MARGIN_), -1.0), last)
    return tl.where(live, first, 1.0).to(tl.int32), tl.where(live, final, 0.0).to(tl.int32)


@triton.jit
@no_type_check
def bounds(inverse, norm, from_start, live, B: tl.constexpr, axes, HOW: tl.constexpr):
    """The rows of the bounding box along axis B of the output, by a row of the inverse; all where there is none."""
    centre = from_start[0] * 0
    half = norm * 0
    for a in tl.static_range(HOW.dims):
        centre += inverse[a] * from_start[a]
        half += tl.abs(inverse[a]) * (HOW.taps[a] * 0.5 + MARGIN_)
    regular = norm > 0
    far = tl.where(regular, half, FAR_)
    centre = tl.where(regular, centre, 0.0)
    return whole_range(centre - far, centre + far, live, B, axes)


@triton.jit
@no_type_check
def rows_met(L, from_start, live, axes, HOW: tl.constexpr):
    """First and last y, first and last z of the output's rows that a pixel may be met by."""
    zero = tl.where(live, 0, 1)
    none = tl.where(live, 0, 0)
    if HOW.dims == 1:
        return zero, none, zero, none
    elif HOW.dims == 2:
        size = (tl.abs(L[0][0]) + tl.abs(L[0][1])) * (tl.abs(L[1][0]) + tl.abs(L[1][1]))
        det = L[0][0] * L[1][1] - L[0][1] * L[1][0]
        norm = tl.where(tl.abs(det) > SINGULAR_ * size, 1.0, 0.0).to(tl.float64)
        d = tl.where(norm > 0, det, 1.0)
        y0, y1 = bounds((-L[1][0] / d, L[0][0] / d), norm, from_start, live, 1, axes, HOW)
        return y0, y1, zero, none
    else:
        size = tl.abs(L[0][0]) + tl.abs(L[0][1]) + tl.abs(L[0][2])
        size *= tl.abs(L[1][0]) + tl.abs(L[1][1]) + tl.abs(L[1][2])
        size *= tl.abs(L[2][0]) + tl.abs(L[2][1]) + tl.abs(L[2][2])
        xx = L[1][1] * L[2][2] - L[1][2] * L[2][1]
        yx = L[1][2] * L[2][0] - L[1][0] * L[2][2]
        zx = L[1][0] * L[2][1] - L[1][1] * L[2][0]
        det = L[0][0] * xx + L[0][1] * yx + L[0][2] * zx
        norm = tl.where(tl.abs(det) > SINGULAR_ * size, 1.0, 0.0).to(tl.float64)
        d = tl.where(norm > 0, det, 1.0)
        yy = L[0][0] * L[2][2] - L[0][2] * L[2][0]
        yz = L[0][2] * L[1][0] - L[0][0] * L[1][2]
        zy = L[0][1] * L[2][0] - L[0][0] * L[2][1]
        zz = L[0][0] * L[1][1] - L[0][1] * L[1][0]
        y0, y1 = bounds((yx / d, yy / d, yz / d), norm, from_start, live, 1, axes, HOW)
        z0, z1 = bounds((zx / d, zy / d, zz / d), norm, from_start, live, 2, axes, HOW)
        return y0, y1, z0, z1


@triton.jit
@no_type_check
def columns_met(L, from_start, my, mz, live, axes, HOW: tl.constexpr):
    """First and last x of a row of the output, y and z from its middle, that a pixel may be met by."""
    low = my * 0 - FAR_
    high = my * 0 + FAR_
    for a in tl.static_range(HOW.dims):
        rest = from_start[a]
        if HOW.dims > 1:
            rest = rest - L[a][1] * my
        if HOW.dims > 2:
            rest = rest - L[a][2] * mz
        half = HOW.taps[a] * 0.5 + MARGIN_
        flat = tl.abs(my * 0 + L[a][0]) < 1e-12
        step = tl.where(flat, 1.0, L[a][0])
        live = live & (~flat | (tl.abs(rest) <= half))
        one = (rest - half) / step
        two = (rest + half) / step
        low = tl.where(flat, low, tl.maximum(low, tl.minimum(one, two)))
        high = tl.where(flat, high, tl.minimum(high, tl.maximum(one, two)))
    return whole_range(low, high, live, 0, axes)


@triton.jit
@no_type_check
def met_at(matrix, table, pixel, index, live, axes, HOW: tl.constexpr):
    """The product of the weights by which output points meet a pixel, 0 for those that do not."""
    found, _, before = by_matrix(matrix, index, axes, HOW)
    placed = ()
    for a in tl.static_range(HOW.dims):
        placed = placed + (found[a] + middle(axes.extent[a]),)
    x, live = brought_in(placed, live & before, axes, HOW)
    product = x[0].to(table.dtype.element_ty) * 0 + 1
    for a in tl.static_range(HOW.dims):
        first, u, rows, moving = taps_along(x, table, a, False, axes, HOW)
        t = pixel[a].to(first.dtype) - first
        live = live & (t >= 0) & (t < HOW.taps[a])
        t = tl.minimum(tl.maximum(t, 0), HOW.taps[a] - 1)
        product = product * weight(table, (first, u, rows, moving), t, a, HOW)
    return product, live


@triton.jit
@no_type_check
def gather(
    values, where, table, image, channels, pixels, sets, axes, strides, value_strides, where_strides,
    HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Eq. 6 of an affine matrix under "zeros". `sets`: how many of them, and of values, are added up in each image."""
    n, q, c, inside, here = block(channels, pixels, HOW, BM, BC)
    pixel = unravelled(q, axes.size)
    zero = q.to(tl.float64) * 0
    number: tl.constexpr = table.dtype.element_ty
    total = tl.zeros((BM, BC), number)
    part, origin, whole = axes.part, axes.origin, axes.whole
    for s in range(sets):
        matrix = where + (n + s) * where_strides[0]
        from_ = values + (n + s) * value_strides[2] + c[None, :] * value_strides[1]
        L = ()
        from_start = ()
        finite = inside
        for a in tl.static_range(HOW.dims):
            steps, start = row_of(matrix, a, axes, HOW)
            for b in tl.static_range(HOW.dims):
                finite = finite & (tl.abs(zero + steps[b]) < float("inf"))
            finite = finite & (tl.abs(zero + start) < float("inf"))
            L = L + (steps,)
            from_start = from_start + ((pixel[a] + axes.begin[a]).to(tl.float64) - middle(axes.extent[a]) - start,)
        y0, y1, z0, z1 = rows_met(L, from_start, finite, axes, HOW)
        for kz in range(tl.max(z1 - z0, axis=0) + 1):
            z = z0 + kz
            mz = from_middle(z + origin[2], whole[2])
            for ky in range(tl.max(y1 - y0, axis=0) + 1):
                y = y0 + ky
                my = from_middle(y + origin[1], whole[1])
                x0, x1 = columns_met(L, from_start, my, mz, finite & (z <= z1) & (y <= y1), axes, HOW)
                for kx in range(tl.max(x1 - x0, axis=0) + 1):
                    x = x0 + kx
                    mx = from_middle(x + origin[0], whole[0])
                    w, met = met_at(matrix, table, pixel, (mx, my, mz), x <= x1, axes, HOW)
                    m = (z.to(tl.int64) * part[1] + y) * part[0] + x
                    both = met[:, None] & here[None, :]
                    value = tl.load(from_ + m[:, None] * value_strides[0], mask=both, other=0.0)
                    total += tl.where(both, w[:, None] * value, 0.0)
    to = image + n * strides[4] + c[None, :] * strides[3]
    to += (pixel[2] * strides[2] + pixel[1] * strides[1] + pixel[0] * strides[0])[:, None]
    tl.store(to, total, mask=inside[:, None] & here[None, :])
