"""The gradient of the kernels' tables, through which Φ learns: each tap's weight's, times the fraction's powers."""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import locate
from warpkit.sampling.gpu.pull import points_of, tap, taps_along
from warpkit.sampling.gpu.slopes import shares
from warpkit.sampling.gpu.taps import place, share


@triton.jit
@no_type_check
def others(along, table, A: tl.constexpr, AXIS: tl.constexpr, axes, HOW: tl.constexpr):
    """The share of an axis in what multiplies a weight of AXIS: all but its own."""
    if A == AXIS:
        return along[1] * 0 + 1
    else:
        total, _ = shares(along, table, A, axes, HOW)
        return total


@triton.jit
@no_type_check
def weights(
    grad, image, where, table, fill, found, channels, points, axes, strides, grad_strides, where_strides,
    AXIS: tl.constexpr, FILL: tl.constexpr, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sums over a block of points for one tap of AXIS: `found` is [images, taps, blocks, pieces, degree + 1]."""
    rest, k, across, m, live = points_of(points, HOW, BM)
    own = (rest % HOW.taps[AXIS]).to(tl.int32)
    n = (rest // HOW.taps[AXIS]).to(tl.int64)
    x, _, alive = locate(where + n * where_strides[0], where_strides, m, live, axes, HOW)
    ax = taps_along(x, table, 0, True, axes, HOW)
    ay = taps_along(x, table, 1, True, axes, HOW)
    az = taps_along(x, table, 2, True, axes, HOW)
    image += n * strides[4]
    grad += n * grad_strides[2]
    number: tl.constexpr = table.dtype.element_ty
    TX: tl.constexpr = 1 if AXIS == 0 else HOW.taps[0]
    TY: tl.constexpr = 1 if AXIS == 1 else HOW.taps[1]
    TZ: tl.constexpr = 1 if AXIS == 2 else HOW.taps[2]
    total = tl.zeros((BM,), number)
    filled = tl.zeros((BM,), number)
    for c0 in range(0, channels, BC):
        c = tl.cast(c0, m.dtype) + tl.arange(0, BC)
        here = c < channels
        both = alive[:, None] & here[None, :]
        g = tl.load(grad + m[:, None] * grad_strides[0] + c[None, :] * grad_strides[1], mask=both, other=0.0)
        sums = tl.zeros((BM, BC), number)
        for tz in range(TZ):
            jz, rz, wz = tap(az, table, own if AXIS == 2 else tz, 2, axes, HOW)
            for ty in range(TY):
                jy, ry, wy = tap(ay, table, own if AXIS == 1 else ty, 1, axes, HOW)
                for tx in range(TX):
                    jx, rx, wx = tap(ax, table, own if AXIS == 0 else tx, 0, axes, HOW)
                    read = both & (rx & ry & rz)[:, None]
                    at = image + c[None, :] * strides[3]
                    at += (jz * strides[2] + jy * strides[1] + jx * strides[0])[:, None]
                    u = tl.load(at, mask=read, other=0.0)
                    if AXIS == 0:
                        sums += (wz * wy)[:, None] * u
                    elif AXIS == 1:
                        sums += (wz * wx)[:, None] * u
                    else:
                        sums += (wy * wx)[:, None] * u
        total += tl.sum(g * sums, axis=1)
        if FILL > 0 and HOW.zeros:
            filled += tl.sum(g * tl.load(fill + c * (FILL - 1), mask=here, other=0.0)[None, :], axis=1)
    mine = ax if AXIS == 0 else (ay if AXIS == 1 else az)
    if FILL > 0 and HOW.zeros:
        product = others(ax, table, 0, AXIS, axes, HOW)
        product = product * others(ay, table, 1, AXIS, axes, HOW) * others(az, table, 2, AXIS, axes, HOW)
        _, read = place(mine[0] + own, AXIS, axes, HOW)
        _, _, whole = share(table, mine, AXIS, False, axes, HOW)
        total -= tl.where(read & ~whole, filled * product, 0.0)
    power = tl.where(alive & mine[3] if HOW.order[AXIS] > 0 else alive, total, 0.0).to(tl.float64)
    piece = (mine[2] - HOW.start[AXIS]) // (HOW.taps[AXIS] * HOW.width[AXIS])
    block = (n * HOW.taps[AXIS] + own) * across + k
    to = found + block * (HOW.pieces[AXIS] * HOW.width[AXIS])
    for degree in tl.static_range(HOW.width[AXIS]):
        for p in tl.static_range(HOW.pieces[AXIS]):
            tl.store(to + p * HOW.width[AXIS] + degree, tl.sum(tl.where(piece == p, power, 0.0), axis=0))
        power = power * mine[1].to(tl.float64)
