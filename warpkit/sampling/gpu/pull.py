"""Pull, eq. 3: one program sums a block of output points and a block of channels over all taps."""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import locate
from warpkit.sampling.gpu.taps import cell, moves, piece, place, rounding, share, weight


@triton.jit
@no_type_check
def points_of(points, HOW: tl.constexpr, BM: tl.constexpr):
    """This program's number among those for one block of points, the block's and how many there are; the points of the
    block, and which of these there are.

    Indices of 64 bits are so from the start: what has overflowed stays negative when it is made longer.
    """
    program = tl.program_id(0).to(tl.int64 if HOW.long else tl.int32)
    across = tl.cdiv(tl.cast(points, program.dtype), BM)
    m = (program % across) * BM + tl.arange(0, BM)
    return program // across, program % across, across, m, m < points


@triton.jit
@no_type_check
def block(channels, points, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr, tiles=1):
    """The image, the points and the channels of this program, and which of both there are.

    Programs are counted along the axis without a limit. Of `tiles` times BC channels these are the first BC.
    """
    rest, _, _, m, live = points_of(points, HOW, BM)
    groups = tl.cdiv(channels, tiles * BC)
    c = (rest % groups) * tiles * BC + tl.arange(0, BC)
    return (rest // groups).to(tl.int64), m, c, live, c < channels


@triton.jit
@no_type_check
def taps_along(x, table, A: tl.constexpr, SLOPES: tl.constexpr, axes, HOW: tl.constexpr):
    """First tap, fraction, rows of the table and whether the coordinate moves; 0 along an axis that is not there."""
    if HOW.dims > A:
        first, u = cell(x[A], table, A, SLOPES, axes, HOW)
        u, rows = piece(u, rounding(x[A].dtype, table, A, SLOPES, axes, HOW), A, HOW)
        return first, u, rows, moves(x[A], A, axes)
    else:
        none = x[0].to(table.dtype.element_ty) * 0
        return none.to(tl.int32), none, 0, none == 0


@triton.jit
@no_type_check
def tap(along, table, t, A: tl.constexpr, axes, HOW: tl.constexpr):
    """Pixel, whether it is read, and weight of tap t along an axis."""
    if HOW.dims > A:
        j, read = place(along[0] + t, A, axes, HOW)
        return j, read, weight(table, along, t, A, HOW)
    else:
        return along[0], along[3], along[1] + 1


@triton.jit
@no_type_check
def taps_of(along, table, A: tl.constexpr, axes, HOW: tl.constexpr):
    """All taps along an axis, as `tap` gives them."""
    found = ()
    for t in tl.static_range(HOW.taps[A]):
        found = found + (tap(along, table, t, A, axes, HOW),)
    return found


@triton.jit
@no_type_check
def rest_of(along, table, axes, HOW: tl.constexpr):
    """The part of `fill` in each output: the total of all weights less those of the taps that are read."""
    product, _, _ = share(table, along[0], 0, False, axes, HOW)
    for a in tl.static_range(1, HOW.dims):
        one, _, _ = share(table, along[a], a, False, axes, HOW)
        product = product * one
    return HOW.total - product


@triton.jit
@no_type_check
def rounded(value, LOW: tl.constexpr, HIGH: tl.constexpr):
    """To whole numbers, a half to the even one, within the type's limits."""
    down = tl.floor(value)
    over = value - down
    odd = down * 0.5 != tl.floor(down * 0.5)
    whole = tl.where((over > 0.5) | ((over == 0.5) & odd), down + 1, down)
    return tl.minimum(tl.maximum(whole, LOW), HIGH)


@triton.jit
@no_type_check
def pull(
    image, where, table, fill, output, channels, points, axes, strides, out_strides, where_strides, tiles,
    FILL: tl.constexpr, LIMITS: tl.constexpr, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Eq. 3. `strides`: of x, y, z, channels and images; FILL: 0 none, 1 one number, 2 one for each channel.

    LIMITS: of the integers that are stored, if they are integers. `tiles`: how many blocks of channels are summed one
    after another, for coordinates that are computed once.
    """
    n, m, first, live, _ = block(channels, points, HOW, BM, BC, tiles)
    x, _, alive = locate(where + n * where_strides[0], where_strides, m, live, axes, HOW)
    ax = taps_along(x, table, 0, False, axes, HOW)
    ay = taps_along(x, table, 1, False, axes, HOW)
    az = taps_along(x, table, 2, False, axes, HOW)
    number: tl.constexpr = table.dtype.element_ty
    taps_x = taps_of(ax, table, 0, axes, HOW)
    taps_y = taps_of(ay, table, 1, axes, HOW)
    if FILL > 0:
        if HOW.zeros:
            rest = tl.where(alive, rest_of((ax, ay, az), table, axes, HOW), HOW.total)
        else:
            rest = tl.where(alive, x[0].to(number) * 0, HOW.total)
    for tile in range(tiles):
        c = first + tile * BC
        here = c < channels
        both = alive[:, None] & here[None, :]
        from_ = image + n * strides[4] + c[None, :] * strides[3]
        total = tl.zeros((BM, BC), number)
        for tz in range(HOW.taps[2]):
            jz, rz, wz = tap(az, table, tz, 2, axes, HOW)
            for ty in tl.static_range(HOW.taps[1]):
                jy, ry, wy = taps_y[ty]
                row = jz * strides[2] + jy * strides[1]
                for tx in tl.static_range(HOW.taps[0]):
                    jx, rx, wx = taps_x[tx]
                    read = both & (rx & ry & rz)[:, None]
                    u = tl.load(from_ + (row + jx * strides[0])[:, None], mask=read, other=0)
                    total += (wz * wy * wx)[:, None] * u.to(number)
        if FILL > 0:
            outside = tl.load(fill + c * (FILL - 1), mask=here, other=0.0)[None, :]
            total += tl.where((rest != 0.0)[:, None], outside * rest[:, None], 0.0)
        if len(LIMITS) > 0:
            total = rounded(total, LIMITS[0], LIMITS[1])
        to = output + n * out_strides[2] + m[:, None] * out_strides[0] + c[None, :] * out_strides[1]
        tl.store(to, total.to(output.dtype.element_ty), mask=live[:, None] & here[None, :])


@triton.jit
@no_type_check
def copy(
    image, where, table, fill, output, channels, points, axes, strides, out_strides, where_strides, tiles,
    FILL: tl.constexpr, HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Eq. 4: the nearest pixel as it is. Labels, bytes and halves alike: only their size is known."""
    n, m, first, live, _ = block(channels, points, HOW, BM, BC, tiles)
    x, _, alive = locate(where + n * where_strides[0], where_strides, m, live, axes, HOW)
    jx, rx, _ = tap(taps_along(x, table, 0, False, axes, HOW), table, 0, 0, axes, HOW)
    jy, ry, _ = tap(taps_along(x, table, 1, False, axes, HOW), table, 0, 1, axes, HOW)
    jz, rz, _ = tap(taps_along(x, table, 2, False, axes, HOW), table, 0, 2, axes, HOW)
    pixel = image + n * strides[4] + (jz * strides[2] + jy * strides[1] + jx * strides[0])[:, None]
    for tile in range(tiles):
        c = first + tile * BC
        here = c < channels
        read = (alive & rx & ry & rz)[:, None] & here[None, :]
        value = tl.load(pixel + c[None, :] * strides[3], mask=read, other=0)
        if FILL > 0:
            value = tl.where(read, value, tl.load(fill + c * (FILL - 1), mask=here, other=0)[None, :])
        to = output + n * out_strides[2] + m[:, None] * out_strides[0] + c[None, :] * out_strides[1]
        tl.store(to, value, mask=live[:, None] & here[None, :])
