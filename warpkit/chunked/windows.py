"""Which pixels of the image a part of the output can reach, along each axis.

The coordinates of the part's own points say it: there are finitely many, so the least and the largest of them hold for
any transform, a plugin's too, and nothing has to be promised. Of an affine map the corners do, and of a projective one
where all of them lie before the horizon, since it takes straight lines to straight lines.
"""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from warpkit.boundary import place
from warpkit.geometry import Part, from_matrix, from_shifts, limit, to_pixels
from warpkit.sampling.rule import Rule

_MORE = 1  # pixel: backends round in their own ways


class Reach(NamedTuple):
    """The taps of a part of the output along one axis: those at `begin` and on, and the pixel that stands at each."""

    begin: int
    pixels: Tensor


def reaches(
    where: Tensor, kind: str, part: Part, size: tuple[int, ...], rule: Rule, margins: tuple[int, ...]
) -> list[Reach]:
    """For each axis, rows first, what a part of the output can read of an image of this size.

    `where`: the matrix of a map of that `kind`, the shifts of the part, or points. `margins`: how many coefficients
    there are beyond the edge.
    """
    ends = _ends(where.detach(), kind, part, size, rule.align_corners)
    each = zip(ends, size, margins, reversed(rule.padding), reversed(rule.kernels), strict=True)
    return [
        _reach(low, high, n, margin, mode, kernel.taps, rule.align_corners)
        for (low, high), n, margin, mode, kernel in each
    ]


def _ends(
    where: Tensor, kind: str, part: Part, size: tuple[int, ...], align_corners: bool
) -> list[tuple[float, float]]:
    """The least and the largest pixel coordinate along each axis, rows first, of the points that have one."""
    if kind == "points":
        pixels = [to_pixels(x, n, align_corners) for x, n in zip(where.unbind(-1), reversed(size), strict=True)]
    elif kind == "shifts":
        pixels = from_shifts(where, part, size, align_corners)
    else:
        pixels = _corners(where, kind == "affine", part, size, align_corners)
        if not all(bool(x.isfinite().all()) for x in pixels):
            pixels = from_matrix(where, kind == "affine", part, size, align_corners)
    found = []
    for x, n in zip(reversed(pixels), size, strict=True):
        seen, most = x[x.isfinite()], limit(n)
        low, high = seen.aminmax() if seen.numel() else (seen.new_zeros(()),) * 2
        found.append((max(-most, min(most, float(low))), max(-most, min(most, float(high)))))
    return found


def _corners(matrix: Tensor, is_affine: bool, part: Part, size: tuple[int, ...], align_corners: bool) -> list[Tensor]:
    ends = [(first, first + n - 1) for first, n in zip(part.origin, part.size, strict=True)]
    one = (1,) * len(size)
    each = [
        from_matrix(matrix, is_affine, Part(one, part.whole, corner), size, align_corners)
        for corner in itertools.product(*ends)
    ]
    return [torch.cat([x.flatten() for x in along]) for along in zip(*each, strict=True)]


def _reach(low: float, high: float, n: int, margin: int, mode: str, taps: int, align_corners: bool) -> Reach:
    first = math.floor(low - taps / 2) - _MORE
    last = math.ceil(high + taps / 2) + _MORE
    if mode in ("reflection", "wrap"):
        if last - first + 1 >= n:  # all of it, and the rule says what stands where
            return Reach(0, torch.arange(n))
        return Reach(first, place(torch.arange(first, last + 1), n, mode, align_corners))
    start, end = -margin, n - 1 + margin
    first, last = min(max(first, start), end), min(max(last, start), end)
    # Where the image is as wide as the kernel, so is the part: points at the edge are then computed in the same way.
    last = min(end, max(last, first + taps))
    first = max(start, min(first, last - taps))
    return Reach(first, torch.arange(first, last + 1))
