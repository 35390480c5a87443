"""Pixel coordinate → cell → taps: which pixels they are, and what each weighs by the kernel's table."""

from typing import no_type_check

import triton
import triton.language as tl

from warpkit.sampling.gpu.points import limit

ZEROS_ = tl.constexpr(0)
REFLECTION_ = tl.constexpr(2)
WRAP_ = tl.constexpr(3)


@triton.jit
@no_type_check
def rounding(dtype: tl.constexpr, table, A: tl.constexpr, SLOPES: tl.constexpr, axes, HOW: tl.constexpr):
    """ε, in pixels: what lies so little to the left of a joint counts as on its right.

    It decides where the weights jump and, with SLOPES, everywhere; else it is 0, each point is in its own cell, and its
    value as exact as its coordinate.
    """
    eps = tl.cast(axes.extent[A], dtype) * HOW.eps
    return eps if SLOPES else eps * tl.load(table + HOW.numbers + A).to(dtype)


@triton.jit
@no_type_check
def piece(u, eps, A: tl.constexpr, HOW: tl.constexpr):
    """From a cell's fraction to that of its piece, and where the piece's rows begin in the table."""
    if HOW.pieces[A] > 1:
        of = tl.floor((u + eps.to(u.dtype)) * HOW.pieces[A])
        of = tl.minimum(tl.maximum(of, 0.0), HOW.pieces[A] - 1.0)
        return u * HOW.pieces[A] - of, HOW.start[A] + of.to(tl.int32) * (HOW.taps[A] * HOW.width[A])
    else:
        return u, HOW.start[A]


@triton.jit
@no_type_check
def cell(x, table, A: tl.constexpr, SLOPES: tl.constexpr, axes, HOW: tl.constexpr):
    """The first tap i₀ = ⌊x − r + ε⌋ + 1, and the fraction u of the cell.

    The fraction may be −ε: the polynomial is continued by that much. The tap is counted among the pixels that are
    stored, once it is a whole number: a part has the whole's fractions.
    """
    first = tl.floor(x - HOW.taps[A] * 0.5 + rounding(x.dtype, table, A, SLOPES, axes, HOW)) + 1
    u = (x - (first + (HOW.taps[A] * 0.5 - 1))).to(table.dtype.element_ty)
    return first.to(tl.int64 if HOW.long else tl.int32) - axes.begin[A], u


@triton.jit
@no_type_check
def moves(x, A: tl.constexpr, axes):
    """Whether a coordinate moves its taps: what was brought in to the limit has no slope."""
    return tl.abs(x) < limit(axes.extent[A], x.dtype)


@triton.jit
@no_type_check
def weight(table, along, t, A: tl.constexpr, HOW: tl.constexpr):
    """The weight of tap t: its polynomial at u, by Horner's rule."""
    u, rows, moving = along[1], along[2], along[3]
    row = table + rows + t * HOW.width[A]
    w = u * 0 + tl.load(row + (HOW.width[A] - 1))
    for k in tl.static_range(HOW.width[A] - 1):
        w = w * u + tl.load(row + (HOW.width[A] - 2 - k))
    if HOW.order[A] > 0:
        w = tl.where(moving, w, 0.0)
    return w


@triton.jit
@no_type_check
def slope(table, along, t, A: tl.constexpr, HOW: tl.constexpr):
    """The derivative of that weight in the pixel coordinate (eq. 7)."""
    u, rows, moving = along[1], along[2], along[3]
    row = table + rows + t * HOW.width[A]
    d = u * 0
    for k in tl.static_range(HOW.width[A] - 1):
        d = d * u + tl.load(row + (HOW.width[A] - 1 - k)) * (HOW.width[A] - 1.0 - k)
    return tl.where(moving, d * (1.0 * HOW.pieces[A]), 0.0)


@triton.jit
@no_type_check
def modulo(i, n):
    """The remainder, which is never negative."""
    r = i % n
    return tl.where(r < 0, r + n, r)


@triton.jit
@no_type_check
def place(j, A: tl.constexpr, axes, HOW: tl.constexpr):
    """The pixel that stands at index j of an axis, and whether it is read: `boundary.place`."""
    n = tl.cast(axes.size[A], j.dtype)
    read = j == j
    if HOW.padding[A] == ZEROS_:
        read = (j >= 0) & (j < n)
    if HOW.padding[A] == WRAP_:
        j = modulo(j, n)
    elif HOW.padding[A] == REFLECTION_:
        if HOW.align:
            period = tl.maximum(2 * n - 2, 1)
            j = modulo(j, period)
            j = tl.minimum(j, period - j)
        else:
            j = modulo(j, 2 * n)
            j = tl.minimum(j, 2 * n - 1 - j)
    return tl.minimum(tl.maximum(j, 0), n - 1), read


@triton.jit
@no_type_check
def share(table, along, A: tl.constexpr, SLOPES: tl.constexpr, axes, HOW: tl.constexpr):
    """What the weights of the taps that are read sum to, their slopes' sum, and whether all are read and sum to one.

    Then the sum is exact, so that nothing is filled in there.
    """
    first, u = along[0], along[1]
    total = u * 0
    slopes = u * 0
    whole = u == u
    for t in range(HOW.taps[A]):
        read = place(first + t, A, axes, HOW)[1]
        total += tl.where(read, weight(table, along, t, A, HOW), 0.0)
        if SLOPES:
            slopes += tl.where(read, slope(table, along, t, A, HOW), 0.0)
        whole = whole & read
    if HOW.unity[A]:
        total = tl.where(whole, 0.0 if HOW.order[A] > 0 else 1.0, total)
        slopes = tl.where(whole, 0.0, slopes)
    else:
        whole = whole & (u != u)
    return total, slopes, whole
