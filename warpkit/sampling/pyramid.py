"""An image and its means over blocks of pixels, so that a large footprint is read with a few taps.

A level has an exponent for each axis, since footprints are seldom square (L. Williams, "Pyramidal parametrics",
SIGGRAPH 1983, has both kinds): its pixels are exact means of 2ˣ by 2ʸ pixels of the image. The image is extended by the
boundary's rule before it is averaged, and the levels go on beyond its edge; so a block at the edge of an odd size is
whole, and what is read there is the mean of what the rule puts there.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from warpkit import tracing
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

# Per image: its version, and pyramids by rule. Only of images without a gradient: a graph is used up.
_kept: Any = WeakTensorKeyDictionary()


class Pyramid:
    """The levels of an image `[N, C, *S]` of any type, made when they are read."""

    def __init__(self, image: Tensor, rule: Rule) -> None:
        self.size, self.corners, self.padding = tuple(image.shape[2:]), rule.align_corners, rule.padding
        self.margin = math.ceil(max(kernel.radius for kernel in rule.kernels)) + 1
        self.fill = rule.fill
        one = image if image.is_complex() else image.to(arithmetic(image.dtype, image.device))
        if self._has_outside:
            one = one - self._outside(one)
        # The image itself ends at its edge. A level goes on, and is constant beyond its own.
        ends = tuple("border" if mode == "none" else mode for mode in rule.padding)
        self._about_centres = rule.align_corners and "reflection" in ends
        plain = rule._replace(fill=no_fill(image.device), words=None, marks=False)
        self._rule = plain._replace(padding=("border",) * len(ends), align_corners=False)
        itself = plain._replace(padding=ends, align_corners=self._about_centres)
        self._image = one
        self._stored = {(0,) * len(ends): filtered(one, itself) if rule.filters else (one, itself)}

    def read(self, level: Level, points: Tensor, images: slice) -> Tensor:
        """The level at points `[1, M, D]`, pixel coordinates x, y, z of the image (0 is the first one's centre).

        In the floating-point type of the sums, `[N, C, M]`; `with_fill` makes pixels of it.
        """
        stored, rule = self._level(level)
        coords = []
        for axis, x in enumerate(points.unbind(-1)):
            scale, offset = self._place(axis, level)
            coords.append(self._folded(x, self.size[-1 - axis], self.padding[axis]) * scale + offset)
        return resample(stored[images], torch.stack(coords, dim=-1), "points", points.shape[1:-1], rule)

    def read_matrix(self, level: Level, matrix: Tensor, out: Sequence[int], images: Tensor | slice) -> Tensor:
        """The level by affine matrices `[B, D, D + 1]` from output pixels to pixels of the image: `[B, C, *out]`.

        Both are counted from their middles. Not where the image is repeated.
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
        return resample(stored if len(stored) == 1 else stored[images], square, "affine", out, rule)

    def _place(self, axis: int, level: Level) -> tuple[float, float]:
        """Normalised coordinate of a level = scale · pixel of the image + offset."""
        n, block = self.size[-1 - axis], 2 ** level[axis]
        if any(level):
            count = -(-n // block) + 2 * self.margin
            return 2 / (block * count), (1 / block + 2 * self.margin) / count - 1
        return (2 / max(n - 1, 1), -1.0) if self._about_centres else (2 / n, 1 / n - 1)

    def with_fill(self, values: Tensor) -> Tensor:
        """Values, or means of them, as they are in the image."""
        return values + self._outside(values) if self._has_outside else values

    def beyond(self, like: Tensor) -> Tensor:
        """What is read where a point has no place."""
        if self._has_outside or self.fill.numel() == 0:
            return like.new_zeros(())
        return self._outside(like)

    def _outside(self, like: Tensor) -> Tensor:
        """`fill`: of what is extended by zeros it is taken off the image."""
        return self.fill.to(like.device, like.dtype).reshape(1, -1, *[1] * (like.ndim - 2))

    @property
    def _has_outside(self) -> bool:
        return "zeros" in self.padding and self.fill.numel() > 0

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
        ends = means.narrow(at, 0, 1), means.narrow(at, n - 1, 1)
        first, last = (torch.zeros_like(end) if mode == "zeros" else end for end in ends)
        if short := count * block - n:
            means = torch.cat([means, *[last] * short], dim=at)
        return torch.cat([*[first] * self.margin, mean_of_blocks(means, at, block), *[last] * self.margin], dim=at)

    @property
    def top(self) -> list[float]:
        """The exponent of x, y, z at which one pixel holds the whole axis; there are none above."""
        return [float((n - 1).bit_length()) for n in reversed(self.size)]


def pyramid_of(image: Tensor, rule: Rule) -> Pyramid:
    """The pyramid of an image, the one that was made for the same pixels before if it is still there."""
    learns = image.requires_grad or rule.fill.requires_grad or any(True for k in rule.kernels for _ in k.parameters())
    if learns or tracing.is_recording() or tracing.is_traced(image) or rule.words is None:
        return Pyramid(image, rule)
    version, made = _kept.get(image, (None, None))
    if version != (image._version, rule.words):
        made = Pyramid(image, rule)
        _kept[image] = (image._version, rule.words), made
    pyramid: Pyramid = made
    return pyramid


def read_footprints(pyramid: Pyramid, pixels: Tensor, widths: Tensor, images: slice) -> Tensor:
    """The image around points `[1, M, D]`, averaged over footprints of these widths `[M, D]`: `[N, C, M]`."""
    low, above = levels(widths, pyramid)
    code = functools.reduce(lambda a, b: 64 * a + b, low.unbind(-1))
    code = torch.where((widths.detach() <= FINE).all(-1), -1, code)  # the image alone is read there
    parts, order = [], []
    for each in torch.unique(code):
        mine = (code == each).nonzero().flatten()
        level, shares = low[mine[0]], above[mine]
        order.append(mine)
        weighed = []
        for up, weight in corners(shares.detach() if each < 0 else shares):
            values = pyramid.read(raised(level, up), pixels[:, mine], images)
            weighed.append(values * weight.to(values.real.dtype))
        parts.append(functools.reduce(torch.add, weighed))
    if len(parts) == 1:
        found: Tensor = parts[0]
        return found
    back = torch.empty_like(code)
    back[torch.cat(order)] = torch.arange(len(back), device=back.device)
    return torch.cat(parts, dim=-1).index_select(-1, back)


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
