"""Output index → pixel coordinates: the formulas of `geometry`, in a kernel. No grid is stored."""

from typing import no_type_check

import triton
import triton.language as tl

# Names that end in _ are constants of a compilation for Triton: it reads no other globals.
POINTS_ = tl.constexpr(0)
SHIFTS_ = tl.constexpr(1)
PROJECTIVE_ = tl.constexpr(3)
NONE_ = tl.constexpr(4)
FAR_ = tl.constexpr(2.0**60)  # in normalised coordinates, as in `geometry.to_pixels`
HORIZON_ = tl.constexpr(1e-12)  # as in `geometry.perspective`


@triton.jit
@no_type_check
def half_extent(extent, dtype: tl.constexpr, HOW: tl.constexpr):
    """The number of pixels from 0 to 1 in normalised coordinates."""
    return (tl.cast(extent, dtype) - 1) * 0.5 if HOW.align else tl.cast(extent, dtype) * 0.5


@triton.jit
@no_type_check
def ratio(extent, out, HOW: tl.constexpr):
    """Pixels of the image for one pixel of the output: exactly 1 for equal sizes."""
    if HOW.align:
        steps = tl.cast(tl.maximum(out - 1, 1), tl.float64)
        return tl.where(out > 1, tl.cast(extent - 1, tl.float64) / steps, 0.0)
    else:
        return tl.cast(extent, tl.float64) / tl.cast(out, tl.float64)


@triton.jit
@no_type_check
def unravelled(m, shape):
    """The indices x, y, z of place m in an array of this shape, x, y, z."""
    row = m // shape[0]
    return m % shape[0], row % shape[1], row // shape[1]


@triton.jit
@no_type_check
def output_index(m, axes):
    """The indices x, y, z of point m in the whole output, of which a part may be asked for."""
    x, y, z = unravelled(m, axes.part)
    return x + axes.origin[0], y + axes.origin[1], z + axes.origin[2]


@triton.jit
@no_type_check
def scale(out, HOW: tl.constexpr):
    """Normalised coordinates from one index of the output to the next; 0 on an aligned axis of one pixel."""
    if HOW.align:
        return tl.where(out > 1, 2.0 / tl.cast(tl.maximum(out - 1, 1), tl.float64), 0.0)
    else:
        return 2.0 / tl.cast(out, tl.float64)


@triton.jit
@no_type_check
def middle(n):
    """The index in the middle of an axis."""
    return tl.cast(n - 1, tl.float64) * 0.5


@triton.jit
@no_type_check
def from_middle(i, out):
    """An index of the output, counted from its middle, so that an identity is one to the last bit."""
    return tl.cast(i, tl.float64) - middle(out)


@triton.jit
@no_type_check
def normalised(i, out, HOW: tl.constexpr):
    """The normalised coordinate of an index of the output."""
    return from_middle(i, out) * scale(out, HOW)


@triton.jit
@no_type_check
def row_of(matrix, A: tl.constexpr, axes, HOW: tl.constexpr):
    """Row A of a matrix as it acts on output indices from the middle: a step for each of x, y, z, and the start.

    In pixels from the image's middle; the last row, w, in normalised coordinates.
    """
    extent, out = axes.extent, axes.whole
    row = matrix + A * (HOW.dims + 1)
    steps = ()
    for b in tl.static_range(HOW.dims):
        number = tl.load(row + b)
        if HOW.dims > A:
            steps = steps + (number * ratio(extent[A], out[b], HOW),)
        else:
            steps = steps + (number * scale(out[b], HOW),)
    start = tl.load(row + HOW.dims)
    if HOW.dims > A:
        start = start * half_extent(extent[A], tl.float64, HOW)
    return steps, start


@triton.jit
@no_type_check
def by_row(matrix, A: tl.constexpr, index, axes, HOW: tl.constexpr):
    """The product of row A with output indices from the middle."""
    steps, total = row_of(matrix, A, axes, HOW)
    for b in tl.static_range(HOW.dims):
        total = total + steps[b] * index[b]
    return total


@triton.jit
@no_type_check
def by_matrix(matrix, index, axes, HOW: tl.constexpr):
    """Pixel coordinates from the image's middle (eq. 1), w, and which points have some: none on or behind a horizon."""
    pixels = ()
    before = index[0] == index[0]
    w = index[0] * 0 + 1.0
    for a in tl.static_range(HOW.dims):
        x = by_row(matrix, a, index, axes, HOW)
        before = before & (tl.abs(x) < float("inf"))
        pixels = pixels + (x,)
    if HOW.kind == PROJECTIVE_:
        w = by_row(matrix, HOW.dims, index, axes, HOW)
        before = before & (w > HORIZON_)
        w = tl.where(before, w, 1.0)
        divided = ()
        for a in tl.static_range(HOW.dims):
            divided = divided + (tl.where(before, pixels[a], 0.0) / w,)
        pixels = divided
    return pixels, w, before


@triton.jit
@no_type_check
def is_beyond(x, A: tl.constexpr, axes, HOW: tl.constexpr):
    """Whether a pixel coordinate lies beyond −1 … 1, as the padding "none" sees it."""
    extent = tl.cast(axes.extent[A], x.dtype)
    edge = (0.0 if HOW.align else 0.5) + extent * HOW.eps
    return (x < -edge) | (x > extent - 1 + edge)


@triton.jit
@no_type_check
def limit(extent, dtype: tl.constexpr):
    """The largest pixel coordinate that is told from others; no index overflows there."""
    return tl.where(extent < 2**29, 2.0**30, 2.0**52).to(dtype)


@triton.jit
@no_type_check
def brought_in(pixels, alive, axes, HOW: tl.constexpr):
    """Coordinates within the limits, and which points are not dead: finite and, under "none", within the image."""
    limited = ()
    for a in tl.static_range(HOW.dims):
        x = pixels[a]
        alive = alive & (tl.abs(x) < float("inf"))
        if HOW.padding[a] == NONE_:
            alive = alive & ~is_beyond(x, a, axes, HOW)
    for a in tl.static_range(HOW.dims):
        most = limit(axes.extent[a], pixels[a].dtype)
        limited = limited + (tl.minimum(tl.maximum(tl.where(alive, pixels[a], 0.0), -most), most),)
    return limited, alive


@triton.jit
@no_type_check
def locate(where, strides, m, live, axes, HOW: tl.constexpr):
    """Pixel coordinates x, y, z of the points m of one image, w of a projective matrix, and which are not dead.

    `where` is that of the image, `axes` is `launch.Axes`.
    """
    extent, whole = axes.extent, axes.whole
    pixels = ()
    alive = live
    w = m * 0 + 1.0
    if HOW.kind == POINTS_:
        for a in tl.static_range(HOW.dims):
            raw = tl.load(where + m * strides[1] + a * strides[2], mask=live, other=0.0)
            finite = tl.abs(raw) < float("inf")
            alive = alive & finite
            x = tl.minimum(tl.maximum(tl.where(finite, raw, 0.0), -FAR_), FAR_)
            n = tl.cast(extent[a], x.dtype)
            # Written like this everywhere: another order of operations rounds differently.
            pixels = pixels + ((x + 1) * ((n - 1) * 0.5) if HOW.align else ((x + 1) * n - 1) * 0.5,)
    elif HOW.kind == SHIFTS_:
        index = output_index(m, axes)
        for a in tl.static_range(HOW.dims):
            raw = tl.load(where + m * strides[1] + a * strides[2], mask=live, other=0.0)
            finite = tl.abs(raw) < float("inf")
            alive = alive & finite
            shift = half_extent(extent[a], tl.float64, HOW) * tl.where(finite, raw, 0.0).to(tl.float64)
            own = ratio(extent[a], whole[a], HOW) * from_middle(index[a], whole[a]) + middle(extent[a])
            pixels = pixels + (own + shift,)
    else:
        index = output_index(m, axes)
        middles = ()
        for a in tl.static_range(HOW.dims):
            middles = middles + (from_middle(index[a], whole[a]),)
        found, w, before = by_matrix(where, middles, axes, HOW)
        alive = alive & before
        for a in tl.static_range(HOW.dims):
            pixels = pixels + (found[a] + middle(extent[a]),)
    pixels, alive = brought_in(pixels, alive, axes, HOW)
    return pixels, w, alive
