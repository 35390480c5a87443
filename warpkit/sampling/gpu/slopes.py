"""The derivative in the coordinates, eq. 7, along all axes in one pass, for points and for matrices."""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import by_row, from_middle, half_extent, locate, normalised, output_index
from warpkit.sampling.gpu.pull import points_of, tap, taps_along
from warpkit.sampling.gpu.taps import share, slope

AFFINE_ = tl.constexpr(2)
PROJECTIVE_ = tl.constexpr(3)


@triton.jit
@no_type_check
def slope_of(along, table, t, A: tl.constexpr, HOW: tl.constexpr):
    """The slope of tap t along an axis; 0 along one that is not there."""
    if HOW.dims > A:
        return slope(table, along, t, A, HOW)
    else:
        return along[1]


@triton.jit
@no_type_check
def shares(along, table, A: tl.constexpr, axes, HOW: tl.constexpr):
    """The sum of the weights that are read along an axis, and of their slopes; 1 and 0 along one that is not there."""
    if HOW.dims > A:
        total, slopes, _ = share(table, along, A, True, axes, HOW)
        return total, slopes
    else:
        return along[1] + 1, along[1]


@triton.jit
@no_type_check
def to_matrix(slopes, where, w, m, live, sums, axes, HOW: tl.constexpr):
    """From the gradients of a block's pixel coordinates to its part of the matrix's gradient, [D + 1, D + 1]."""
    extent, out = axes.extent, axes.whole
    index = output_index(m, axes)
    at = ()
    middles = ()
    for b in tl.static_range(HOW.dims):
        at = at + (normalised(index[b], out[b], HOW),)
        middles = middles + (from_middle(index[b], out[b]),)
    last = w * 0.0
    for a in tl.static_range(HOW.dims):
        given = slopes[a].to(tl.float64)
        if HOW.kind == PROJECTIVE_:
            given = given / w
            x = tl.where(given != 0.0, by_row(where, a, middles, axes, HOW), 0.0) / w
            last -= given * x
        value = tl.where(live, given * half_extent(extent[a], tl.float64, HOW), 0.0)
        for b in tl.static_range(HOW.dims):
            tl.store(sums + a * (HOW.dims + 1) + b, tl.sum(value * at[b], axis=0))
        tl.store(sums + a * (HOW.dims + 1) + HOW.dims, tl.sum(value, axis=0))
    if HOW.kind == PROJECTIVE_:
        last = tl.where(live, last, 0.0)
        for b in tl.static_range(HOW.dims):
            tl.store(sums + HOW.dims * (HOW.dims + 1) + b, tl.sum(last * at[b], axis=0))
        tl.store(sums + HOW.dims * (HOW.dims + 1) + HOW.dims, tl.sum(last, axis=0))


@triton.jit
@no_type_check
def slopes(
    grad, image, where, table, fill, found, channels, points, parts, images, axes, strides, grad_strides, where_strides,
    FILL: tl.constexpr, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Eq. 7. Each program takes a block of points and every channel of its part, so that nothing is added in a race.

    `found`: of points and shifts their gradient, [parts, images, points, dims]; of matrices the sums over each block,
    [images, parts, blocks, dims + 1, dims + 1].
    """
    rest, k, across, m, live = points_of(points, HOW, BM)
    part = rest % parts
    n = (rest // parts).to(tl.int64)
    where += n * where_strides[0]
    x, w, alive = locate(where, where_strides, m, live, axes, HOW)
    ax = taps_along(x, table, 0, True, axes, HOW)
    ay = taps_along(x, table, 1, True, axes, HOW)
    az = taps_along(x, table, 2, True, axes, HOW)
    image += n * strides[4]
    grad += n * grad_strides[2]
    number: tl.constexpr = table.dtype.element_ty
    along_x = ()
    for t in tl.static_range(HOW.taps[0]):
        along_x = along_x + (tap(ax, table, t, 0, axes, HOW) + (slope_of(ax, table, t, 0, HOW),),)
    sx = tl.zeros((BM,), number)
    sy = tl.zeros((BM,), number)
    sz = tl.zeros((BM,), number)
    filled = tl.zeros((BM,), number)
    for c0 in range(part * BC, channels, parts * BC):
        c = tl.cast(c0, m.dtype) + tl.arange(0, BC)
        here = c < channels
        both = alive[:, None] & here[None, :]
        g = tl.load(grad + m[:, None] * grad_strides[0] + c[None, :] * grad_strides[1], mask=both, other=0.0)
        gx = tl.zeros((BM, BC), number)
        gy = tl.zeros((BM, BC), number)
        gz = tl.zeros((BM, BC), number)
        for tz in range(HOW.taps[2]):
            jz, rz, wz = tap(az, table, tz, 2, axes, HOW)
            dz = slope_of(az, table, tz, 2, HOW)
            for ty in range(HOW.taps[1]):
                jy, ry, wy = tap(ay, table, ty, 1, axes, HOW)
                dy = slope_of(ay, table, ty, 1, HOW)
                row = jz * strides[2] + jy * strides[1]
                for tx in tl.static_range(HOW.taps[0]):
                    jx, rx, wx, dx = along_x[tx]
                    read = both & (rx & ry & rz)[:, None]
                    at = image + c[None, :] * strides[3] + (row + jx * strides[0])[:, None]
                    u = tl.load(at, mask=read, other=0.0)
                    gx += (wz * wy * dx)[:, None] * u
                    if HOW.dims > 1:
                        gy += (wz * dy * wx)[:, None] * u
                    if HOW.dims > 2:
                        gz += (dz * wy * wx)[:, None] * u
        sx += tl.sum(g * gx, axis=1)
        if HOW.dims > 1:
            sy += tl.sum(g * gy, axis=1)
        if HOW.dims > 2:
            sz += tl.sum(g * gz, axis=1)
        if FILL > 0 and HOW.zeros:
            outside = tl.load(fill + c * (FILL - 1), mask=here, other=0.0)
            filled += tl.sum(g * outside[None, :], axis=1)
    if FILL > 0 and HOW.zeros:  # what is filled in shrinks as the weights that are read grow
        wx, dx = shares(ax, table, 0, axes, HOW)
        wy, dy = shares(ay, table, 1, axes, HOW)
        wz, dz = shares(az, table, 2, axes, HOW)
        sx -= filled * dx * wy * wz
        sy -= filled * wx * dy * wz
        sz -= filled * wx * wy * dz
    each = (tl.where(alive, sx, 0.0), tl.where(alive, sy, 0.0), tl.where(alive, sz, 0.0))
    if HOW.kind < AFFINE_:
        to = found + ((part * images + n) * points + m) * HOW.dims
        for a in tl.static_range(HOW.dims):
            half = half_extent(axes.extent[a], found.dtype.element_ty, HOW)
            tl.store(to + a, each[a].to(found.dtype.element_ty) * half, mask=live)
    else:
        sums = found + ((n * parts + part) * across + k) * ((HOW.dims + 1) * (HOW.dims + 1))
        to_matrix(each, where, w, m, live, sums, axes, HOW)
