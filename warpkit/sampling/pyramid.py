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
from warpkit.geometry import Part, to_pixels
from warpkit.precision import arithmetic, wide
from warpkit.sampling.pixel_means import mean_of_blocks
from warpkit.sampling.problem import no_fill
from warpkit.sampling.rule import Rule, filtered
from warpkit.sampling.sampler import resample

Level = tuple[int, ...]  # the exponent of each axis, x first
SAME = 1e-6  # a footprint that is larger than a pixel by no more than this share is one
FINE = 1.125  # pixels: the largest footprint that is read from the image itself


class Levels:
    """Where the levels of an image lie and how each is read; a subclass has their pixels, and samples them."""

    def __init__(self, size: Sequence[int], images: int, rule: Rule, device: torch.device) -> None:
        self.size, self.images, self.device = tuple(size), images, device
        self.corners, self.padding = rule.align_corners, rule.padding
        self.margin = math.ceil(max(kernel.radius for kernel in rule.kernels)) + 1
        fill = rule.fill if rule.fill.is_complex() else rule.fill.to(wide(device))
        self._fill = fill if fill.numel() else torch.zeros(1, dtype=fill.dtype, device=device)
        # The image itself ends at its edge. A level goes on, and is constant beyond its own.
        ends = tuple("border" if mode == "none" else mode for mode in rule.padding)
        self._about_centres = rule.align_corners and "reflection" in ends
        own = rule._replace(padding=ends, fill=fill, align_corners=self._about_centres, words=None, marks=False)
        self._own = own
        self._rule = own._replace(padding=("border",) * len(ends), fill=no_fill(device), align_corners=False)

    def sampled(self, level: Level, where: Tensor, kind: str, part: Part, images: Tensor | slice) -> Tensor:
        """A level at these points `[B, M, D]`, or by these matrices, for a part of their output: `[B, C, *part.size]`.

        `images`: those that the batch of `where` belongs to, where there are several.
        """
        raise NotImplementedError

    def read(self, level: Level, points: Tensor, widths: Tensor) -> Tensor:
        """The level at points `[B, M, D]`, pixel coordinates x, y, z of the image (0 is the first one's centre).

        In the floating-point type of the sums, `[N, C, M]`. `widths [B, M, D]`: of what each point stands for, in
        pixels of the image, of which the part that lies outside is `fill`.
        """
        coords = []
        for axis, x in enumerate(points.unbind(-1)):
            scale, offset = self._place(axis, level)
            coords.append(self.folded(x, self.size[-1 - axis], self.padding[axis]) * scale + offset)
        each = Part.all_of(points.shape[1:-1])
        values = self.sampled(level, torch.stack(coords, dim=-1), "points", each, slice(None))
        return self._filled(level, values, points.unbind(-1), widths.unbind(-1))

    def read_matrix(self, level: Level, matrix: Tensor, widths: Tensor, part: Part, images: Tensor | slice) -> Tensor:
        """The level by affine matrices `[B, D, D + 1]` from output pixels to pixels of the image, for a part of these.

        Both are counted from their middles. `widths [B, D]` as in `read`. Not where the image is repeated. The result
        is `[B, C, *part.size]`.
        """
        values = self.sampled(level, self.square(level, matrix, part), "affine", part, images)
        if not self._has_outside(level) or self._lies_inside(matrix, widths, part):
            return values
        d, each = len(level), (-1, *[1] * len(level))
        points = []
        for row, n in zip(matrix.unbind(1), reversed(self.size), strict=True):
            x = row[:, d].reshape(each) + (n - 1) / 2
            for axis, step in enumerate(row[:, :d].unbind(1)):
                first, count, whole = (t[-1 - axis] for t in (part.origin, part.size, part.whole))
                along = torch.arange(first, first + count, dtype=row.dtype, device=row.device) - (whole - 1) / 2
                x = x + step.reshape(each) * along.reshape([-1] + [1] * axis)
            points.append(x)
        return self._filled(level, values, points, [w.reshape(each) for w in widths.T])

    def square(self, level: Level, matrix: Tensor, part: Part) -> Tensor:
        """A matrix `[B, D, D + 1]` of pixels as one of normalised coordinates, `[B, D + 1, D + 1]`, of this level."""
        rows = []
        for axis in range(len(level)):
            scale, offset = self._place(axis, level)
            row = matrix[:, axis] * scale
            rows.append(torch.cat([row[:, :-1], row[:, -1:] + offset + scale * (self.size[-1 - axis] - 1) / 2], dim=1))
        last = matrix.new_tensor([0.0] * len(level) + [1.0]).expand(len(matrix), 1, -1)
        # From normalised to pixels, from the middle.
        halves = matrix.new_tensor([n / 2 for n in reversed(part.whole)] + [1.0])
        return torch.cat([torch.stack(rows, dim=1), last], dim=1) * halves

    def _lies_inside(self, matrix: Tensor, widths: Tensor, part: Part) -> bool:
        """Whether the image holds all footprints of a part of the output."""
        each = zip(part.origin[::-1], part.size[::-1], part.whole[::-1], strict=True)
        middle, halves = matrix.new_tensor([(first + (n - whole) / 2, n / 2) for first, n, whole in each]).T
        reach = (matrix[:, :, :-1] @ middle + matrix[:, :, -1]).abs() + matrix[:, :, :-1].abs() @ halves + widths / 2
        return bool((reach <= matrix.new_tensor(self.size[::-1]) / 2 + SAME).all())

    def _filled(self, level: Level, values: Tensor, points: Sequence[Tensor], widths: Sequence[Tensor]) -> Tensor:
        """Values of a level, with `fill` for the share of each footprint that lies outside an image among zeros."""
        if not self._has_outside(level):
            return values
        inside = torch.ones((), dtype=points[0].dtype, device=values.device)
        for x, width, n, mode in zip(points, widths, reversed(self.size), self.padding, strict=True):
            if mode == "zeros":
                beyond = [-0.5 - x + width / 2, x + width / 2 - (n - 0.5)]
                left, right = (torch.where(b > SAME, b, 0.0) for b in beyond)  # exactly nothing, where rounding is all
                inside = inside * (1 - (left + right) / width).clamp(min=0)
        share = inside[:, None].to(values.real.dtype)
        outside = torch.where(share < 1, self.beyond(values) * (1 - share), 0)
        return torch.where(share > 0, values * share, 0) + outside

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

    def folded(self, x: Tensor, n: int, mode: str) -> Tensor:
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

    def size_of(self, level: Level) -> tuple[int, ...]:
        """How many pixels a level has, rows first, its margin among them; the image has none."""
        if not any(level):
            return self.size
        each = zip(self.size, reversed(level), strict=True)
        return tuple(-(-n // 2**exponent) + 2 * self.margin for n, exponent in each)

    def rule_of(self, level: Level) -> Rule:
        """How a level is read between its pixels and beyond its edge."""
        return self._rule if any(level) else self._own

    def under(self, axis: int, start: int, stop: int, exponent: int) -> Tensor:
        """The pixels of the image, along an axis (0 is x), whose means are those of a level from `start` to `stop`."""
        n, mode, block = self.size[-1 - axis], self.padding[axis], 2**exponent
        index = torch.arange((start - self.margin) * block, (stop - self.margin) * block, device=self.device)
        # Of zeros too: what is outside is `_filled`.
        repeats = mode in ("reflection", "wrap")
        return place(index, n, mode, self.corners) if repeats else index.clamp(0, n - 1)

    @property
    def top(self) -> list[float]:
        """The exponent of x, y, z at which one pixel holds the whole axis; there are none above."""
        return [float((n - 1).bit_length()) for n in reversed(self.size)]


class Pyramid(Levels):
    """The levels of an image `[N, C, *S]` of any type, made when they are read."""

    def __init__(self, image: Tensor, rule: Rule) -> None:
        super().__init__(image.shape[2:], len(image), rule, image.device)
        self._image = image
        self._stored: dict[Level, tuple[Tensor, Rule]] = {}

    def sampled(self, level: Level, where: Tensor, kind: str, part: Part, images: Tensor | slice) -> Tensor:
        """Sample the whole level, which is made when it is first read."""
        stored, rule = self._level(level)
        if part.size != part.whole:
            rule = rule.parted(tuple(stored.shape[2:]), part)
        return resample(stored if len(stored) == 1 else stored[images], where, kind, part.size, rule)

    @functools.cached_property
    def _numbers(self) -> Tensor:
        """The image in the type that it is summed in."""
        image = self._image
        return image if image.is_complex() else image.to(arithmetic(image.dtype, image.device))

    def _level(self, level: Level) -> tuple[Tensor, Rule]:
        if level not in self._stored:
            means, rule = self._numbers, self.rule_of(level)
            for axis, exponent in enumerate(level if any(level) else ()):
                means = self._averaged(means, axis, exponent)
            self._stored[level] = filtered(means, rule) if rule.filters else (means, rule)
        return self._stored[level]

    def _averaged(self, means: Tensor, axis: int, exponent: int) -> Tensor:
        """The means of blocks along one axis, 0 is x, and a margin of them: of the pixels that are `under` these."""
        at, block = means.ndim - 1 - axis, 2**exponent
        n, count = means.shape[at], -(-means.shape[at] // block)
        if self.padding[axis] in ("reflection", "wrap"):
            index = self.under(axis, 0, count + 2 * self.margin, exponent)
            return mean_of_blocks(means.index_select(at, index), at, block)
        first, last = means.narrow(at, 0, 1), means.narrow(at, n - 1, 1)  # a mean of equal pixels is one of them
        if short := count * block - n:
            means = torch.cat([means, *[last] * short], dim=at)
        return torch.cat([*[first] * self.margin, mean_of_blocks(means, at, block), *[last] * self.margin], dim=at)


def read_footprints(pyramid: Levels, pixels: Tensor, widths: Tensor, wanted: Tensor) -> Tensor:
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
            read = mine[:, where] if weight.requires_grad else mine[:, where] & (weight != 0)
            values = torch.where(read[:, None], values * weight[:, None].to(values.real.dtype), 0.0)
            if total is None:
                total = values.new_zeros(*values.shape[:2], pixels.shape[1])
            total = total.index_add(2, where, values)
    return total  # type: ignore[no-any-return]


def levels(widths: Tensor, pyramid: Levels) -> tuple[Tensor, Tensor]:
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
    """Between a level and the next along each axis, linearly: which of the two, and the weight of both, `[M]`.

    A share that rounding alone may have made is none; one that learns has a gradient, and stays.
    """
    if not shares.requires_grad:
        shares = torch.where(shares.abs() <= 2 * SAME, 0.0, torch.where((shares - 1).abs() <= 2 * SAME, 1.0, shares))
    for up in itertools.product((0, 1), repeat=shares.shape[-1]):
        weight = functools.reduce(torch.mul, (s if u else 1 - s for s, u in zip(shares.unbind(-1), up, strict=True)))
        if shares.requires_grad or bool((weight != 0).any()):
            yield up, weight


def raised(level: Tensor, by: tuple[int, ...]) -> tuple[int, ...]:
    """The exponents of a level so many above."""
    return tuple(int(exponent) + more for exponent, more in zip(level, by, strict=True))


def pixels_of(coords: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """Pixel coordinates of normalised ones, in float64 where the device has it."""
    exact = coords.to(wide(coords.device))
    each = zip(exact.unbind(-1), reversed(size), strict=True)
    return torch.stack([to_pixels(x, n, align_corners) for x, n in each], dim=-1)
