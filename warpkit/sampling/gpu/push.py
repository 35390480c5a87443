"""Push, eq. 6, the fast way: each value is added to the taps of its point, by atomic additions in whatever order."""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import locate
from warpkit.sampling.gpu.pull import block, tap, taps_along, taps_of


@triton.jit
@no_type_check
def push(
    values, where, table, image, channels, points, axes, strides, value_strides, where_strides, tiles,
    HOW: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Eq. 6. `strides` of the image and `tiles` as in `pull`; one image for all has a stride of 0."""
    n, m, first, live, _ = block(channels, points, HOW, BM, BC, tiles)
    x, _, alive = locate(where + n * where_strides[0], where_strides, m, live, axes, HOW)
    ax = taps_along(x, table, 0, False, axes, HOW)
    ay = taps_along(x, table, 1, False, axes, HOW)
    az = taps_along(x, table, 2, False, axes, HOW)
    taps_x = taps_of(ax, table, 0, axes, HOW)
    taps_y = taps_of(ay, table, 1, axes, HOW)
    for tile in range(tiles):
        c = first + tile * BC
        both = alive[:, None] & (c < channels)[None, :]
        from_ = values + n * value_strides[2] + m[:, None] * value_strides[0] + c[None, :] * value_strides[1]
        value = tl.load(from_, mask=both, other=0.0)
        to = image + n * strides[4] + c[None, :] * strides[3]
        for tz in range(HOW.taps[2]):
            jz, rz, wz = tap(az, table, tz, 2, axes, HOW)
            for ty in tl.static_range(HOW.taps[1]):
                jy, ry, wy = taps_y[ty]
                row = jz * strides[2] + jy * strides[1]
                for tx in tl.static_range(HOW.taps[0]):
                    jx, rx, wx = taps_x[tx]
                    given = both & (rx & ry & rz)[:, None]
                    at = to + (row + jx * strides[0])[:, None]
                    tl.atomic_add(at, (wz * wy * wx)[:, None] * value, mask=given, sem="relaxed")
