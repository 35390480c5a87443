"""An image and its means over blocks of pixels, so that a large footprint is read with a few taps.

A level has an exponent for each axis, since footprints are seldom square (L. Williams, "Pyramidal parametrics",
SIGGRAPH 1983, has both kinds): its pixels are exact means of 2ˣ by 2ʸ pixels of the image. The image is extended by the
boundary's rule before it is averaged, and the levels go on beyond its edge; so a block at the edge of an odd size is
whole, and what is read there is the mean of what the rule puts there. Zeros, or `fill`, are put there later, by the
share of a footprint that lies outside: in a block they would reach as far into the image as the block does.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit.boundary import place
from warpkit.geometry import to_pixels
from warpkit.precision import arithmetic, wide
from warpkit.sampling.pixel_means import mean_of_blocks
from warpkit.sampling.problem import no_fill
from warpkit.sampling.rule import Rule, filtered
from warpkit.sampling.sampler import resample

Level = tuple[int, ...]  # the exponent of each axis, x first
SAME = 1e-6  # a footprint that is larger than a pixel by no more than this share is one
FINE = 1.125  # pixels: the largest footprint that is read from the image itself


class Pyramid:
    """The levels of an image `[N, C, *S]` of any type, made when they are read."""

    def __init__(self, image: Tensor, rule: Rule) -> None:
        self.size, self.corners, self.padding = tuple(image.shape[2:]), rule.align_corners, rule.padding
        self.margin = math.ceil(max(kernel.radius for kernel in rule.kernels)) + 1
        fill = rule.fill if rule.fill.is_complex() else rule.fill.to(wide(image.device))
        self._fill = fill if fill.numel() else torch.zeros(1, dtype=fill.dtype, device=image.device)
        self._image = image if image.is_complex() else image.to(arithmetic(image.dtype, image.device))
        # The image itself ends at its edge. A level goes on, and is constant beyond its own.
        ends = tuple("border" if mode == "none" else mode for mode in rule.padding)
        self._about_centres = rule.align_corners and "reflection" in ends
        own = rule._replace(padding=ends, fill=fill, align_corners=self._about_centres, words=None, marks=False)
        self._rule = own._replace(padding=("border",) * len(ends), fill=no_fill(image.device), align_corners=False)
        self._stored = {(0,) * len(ends): filtered(self._image, own) if rule.filters else (self._image, own)}

    def read(self, level: Level, points: Tensor, widths: Tensor) -> Tensor:
        """The level at points `[B, M, D]`, pixel coordinates x, y, z of the image (0 is the first one's centre).

        In the floating-point type of the sums, `[N, C, M]`. `widths [B, M, D]`: of what each point stands for, in
        pixels of the image, of which the part that lies outside is `fill`.
        """
        stored, rule = self._level(level)
        coords = []
        for axis, x in enumerate(points.unbind(-1)):
            scale, offset = self._place(axis, level)
            coords.append(self._folded(x, self.size[-1 - axis], self.padding[axis]) * scale + offset)
        values = resample(stored, torch.stack(coords, dim=-1), "points", points.shape[1:-1], rule)
        return self._filled(level, values, points.unbind(-1), widths.unbind(-1))

    def read_matrix(
        self, level: Level, matrix: Tensor, widths: Tensor, out: Sequence[int], images: Tensor | slice
    ) -> Tensor:
        """The level by affine matrices `[B, D, D + 1]` from output pixels to pixels of the image: `[B, C, *out]`.

        Both are counted from their middles. `widths [B, D]` as in `read`. Not where the image is repeated.
        """
        stored, rule = self._level(level)
        rows = []
        for axis in range(len(level)):
            scale, offset = self._place(axis, level)
            row = matrix[:, axis] * scale
            rows.append(torch.cat([row[:, :-1], row[:, -1:] + offset + scale * (self.size[-1 - axis] - 1) / 2], dim=1))
        last = matrix.new_tensor([0.0] * len(level) + [1.0]).expand(len(matrix), 1, -1)
        # From normalised to pixels, from the middle.
        halves = matrix.new_tensor([n / 2 for n in reversed(out)] + [1.0])
        square = torch.cat([torch.stack(rows, dim=1), last], dim=1) * halves
        values = resample(stored if len(stored) == 1 else stored[images], square, "affine", out, rule)
        if not self._has_outside(level):
            return values
        reach = (matrix * halves).abs().sum(-1) + widths / 2  # of all footprints, from the middle
        if bool((reach <= matrix.new_tensor(self.size[::-1]) / 2 + SAME).all()):  # nothing of them is outside
            return values
        each = (-1, *[1] * len(out))
        steps = [torch.arange(n, dtype=matrix.dtype, device=matrix.device) - (n - 1) / 2 for n in out]
        grid = torch.stack(torch.meshgrid(*steps, indexing="ij")[::-1])  # [D, *out], x first
        places = torch.einsum("bij,j...->ib...", matrix[:, :, :-1], grid).unbind()
        middles = matrix[:, :, -1] + (matrix.new_tensor(self.size[::-1]) - 1) / 2
        points = [x + m.reshape(each) for x, m in zip(places, middles.T, strict=True)]
        return self._filled(level, values, points, [w.reshape(each) for w in widths.T])

    def _filled(self, level: Level, values: Tensor, points: Sequence[Tensor], widths: Sequence[Tensor]) -> Tensor:
        """Values of a level, with `fill` for the share of each footprint that lies outside an image among zeros."""
        if not self._has_outside(level):
            return values
        inside = torch.ones((), dtype=points[0].dtype, device=values.device)
        for x, width, n, mode in zip(points, widths, reversed(self.size), self.padding, strict=True):
            if mode == "zeros":
                left, right = (x - width / 2).clamp(-0.5, n - 0.5), (x + width / 2).clamp(-0.5, n - 0.5)
                inside = inside * ((right - left) / width).clamp(max=1)
        share = inside[:, None].to(values.real.dtype)
        return torch.where(share > 0, values * share, 0) + self.beyond(values) * (1 - share)

    def _has_outside(self, level: Level) -> bool:
        return any(level) and "zeros" in self.padding  # the image itself is read by its own rule

    def _place(self, axis: int, level: Level) -> tuple[float, float]:
        """Normalised coordinate of a level = scale · pixel of the image + offset."""
        n, block = self.size[-1 - axis], 2 ** level[axis]
        if any(level):
            count = -(-n // block) + 2 * self.margin
            return 2 / (block * count), (1 / block + 2 * self.margin) / count - 1
        return (2 / max(n - 1, 1), -1.0) if self._about_centres else (2 / n, 1 / n - 1)

    def beyond(self, like: Tensor) -> Tensor:
        """What is read where a point has no place: `fill`, to be broadcast with values `[N, C, …]`."""
        return self._fill.to(like.dtype).reshape(-1, *[1] * (like.ndim - 2))

    def _folded(self, x: Tensor, n: int, mode: str) -> Tensor:
        """The place inside the image that the extension repeats at x."""
        if mode == "wrap":
            return torch.remainder(x + 0.5, n) - 0.5
        if mode != "reflection":
            return x
        edge = 0.0 if self.corners else 0.5
        period = 2 * (n - 1 + 2 * edge)
        if period == 0:
            return x * 0
        along = torch.remainder(x + edge, period)
        return torch.where(along > period / 2, period - along, along) - edge

    def _level(self, level: Level) -> tuple[Tensor, Rule]:
        if level not in self._stored:
            means, rule = self._image, self._rule
            for axis, exponent in enumerate(level):
                means = self._averaged(means, axis, 2**exponent)
            self._stored[level] = filtered(means, rule) if rule.filters else (means, rule)
        return self._stored[level]

    def _averaged(self, means: Tensor, axis: int, block: int) -> Tensor:
        """The means of blocks along one axis, 0 is x, and a margin of them."""
        n, mode, at = self.size[-1 - axis], self.padding[axis], means.ndim - 1 - axis
        count = -(-n // block)
        if mode in ("reflection", "wrap"):
            index = torch.arange(-self.margin * block, (count + self.margin) * block, device=means.device)
            return mean_of_blocks(means.index_select(at, place(index, n, mode, self.corners)), at, block)
        first, last = means.narrow(at, 0, 1), means.narrow(at, n - 1, 1)  # of zeros too: what is outside is `_filled`
        if short := count * block - n:
            means = torch.cat([means, *[last] * short], dim=at)
        return torch.cat([*[first] * self.margin, mean_of_blocks(means, at, block), *[last] * self.margin], dim=at)

    @property
    def top(self) -> list[float]:
        """The exponent of x, y, z at which one pixel holds the whole axis; there are none above."""
        return [float((n - 1).bit_length()) for n in reversed(self.size)]


def read_footprints(pyramid: Pyramid, pixels: Tensor, widths: Tensor, wanted: Tensor) -> Tensor:
    """The image around points `[B, M, D]`, averaged over footprints of these widths `[B, M, D]`: `[N, C, M]`.

    Where it is `wanted [B, M]`; elsewhere zero.
    """
    low, above = levels(widths, pyramid)
    code = functools.reduce(lambda a, b: 64 * a + b, low.unbind(-1))  # a number for each level; no exponent reaches 64
    code = torch.where((widths.detach() <= FINE).all(-1), -1, code)  # the image alone is read there
    total: Any = None
    for each in torch.unique(code[wanted]):
        mine = wanted & (code == each)
        where = mine.any(0).nonzero().flatten()
        level, shares = low[mine][0], above[:, where]
        for up, weight in corners(shares.detach() if each < 0 else shares):
            values = pyramid.read(raised(level, up), pixels[:, where], widths[:, where])
            values = torch.where(mine[:, where][:, None], values * weight[:, None].to(values.real.dtype), 0.0)
            if total is None:
                total = values.new_zeros(*values.shape[:2], pixels.shape[1])
            total = total.index_add(2, where, values)
    return total  # type: ignore[no-any-return]


def levels(widths: Tensor, pyramid: Pyramid) -> tuple[Tensor, Tensor]:
    """The level whose pixels are as wide as footprints, or the one below, and the share of the one above: `[…, D]`."""
    if bool((widths.detach() <= FINE).all()):
        return torch.zeros_like(widths, dtype=torch.long), torch.zeros_like(widths.detach())
    exponents = widths.clamp(min=FINE).log2()
    fine = math.log2(FINE)  # from here to 1 the image gives way to the first level
    exponents = torch.where(exponents < 1, (exponents - fine) / (1 - fine), exponents)
    exponents = torch.minimum(exponents, widths.new_tensor(pyramid.top))
    low = (exponents.detach() + SAME).floor()  # rounding alone asks for no other level
    return low.long(), exponents - low


def corners(shares: Tensor) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Between a level and the next along each axis, linearly: which of the two, and the weight of both, `[M]`."""
    for up in itertools.product((0, 1), repeat=shares.shape[-1]):
        weight = functools.reduce(torch.mul, (s if u else 1 - s for s, u in zip(shares.unbind(-1), up, strict=True)))
        if shares.requires_grad or bool((weight.abs() > 2 * SAME).any()):
            yield up, weight


def raised(level: Tensor, by: tuple[int, ...]) -> tuple[int, ...]:
    """The exponents of a level so many above."""
    return tuple(int(exponent) + more for exponent, more in zip(level, by, strict=True))


def pixels_of(coords: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """Pixel coordinates of normalised ones, in float64 where the device has it."""
    exact = coords.to(wide(coords.device))
    each = zip(exact.unbind(-1), reversed(size), strict=True)
    return torch.stack([to_pixels(x, n, align_corners) for x, n in each], dim=-1)
