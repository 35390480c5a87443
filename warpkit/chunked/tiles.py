"""One tile of the output: its coordinates are the whole's, and of the image only what it reaches is read.

A tile is worked on in parts, which are halved until neither their points nor the pixels that they reach are many: so
the memory that a tile takes is bounded, whatever the transform does, down to parts of a few points.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from warpkit.chunked.coefficients import margins_of, stored
from warpkit.chunked.fields import Field
from warpkit.chunked.reading import Read
from warpkit.chunked.windows import Reach, reaches
from warpkit.geometry import Part
from warpkit.kernels.base import Kernel
from warpkit.precision import saturated, wide
from warpkit.sampling.pixel_means import Blocks
from warpkit.sampling.rule import Rule, Within, rule_for
from warpkit.sampling.sampler import resample
from warpkit.transforms.base import Transform
from warpkit.transforms.field import FieldTransform
from warpkit.transforms.matrix import checked_matrix

_BLOCK = 64  # columns, from which the native backend counts on: a part that begins in between would round otherwise
_POINTS = 2**18  # of a part whose coordinates are kept
MANY = 2**24  # points of one whose are not, or pixels that are read


@dataclass(frozen=True)
class Sampling:
    """How an image of this size and type is sampled, whoever asks for which part."""

    mapping: Transform
    kernels: tuple[Kernel, ...]
    padding: tuple[str, ...]
    fill: Any
    align_corners: bool
    size: tuple[int, ...]
    out: tuple[int, ...]
    dtype: torch.dtype
    most: int = 0  # sub-points along an axis of an output pixel; 0: no antialiasing
    blocks: tuple[Blocks, ...] | None = None  # of whole pixels, that output pixels are the means of

    def rule(self, channels: slice, count: int) -> Rule:
        """The rule for these channels of an image that has `count` of them."""
        some = isinstance(self.fill, list | tuple) and len(self.fill) > 1
        fill = list(self.fill)[channels] if some else self.fill
        like = torch.empty(1, count, *[1] * len(self.size), dtype=self.dtype)
        return rule_for(like, self.kernels, self.padding, fill, self.align_corners)

    def where(self, theta: Any, part: Part) -> tuple[Tensor, str]:
        """Where the points of a part lie, and what that is: a matrix, or their shifts."""
        mapping = self.mapping
        if isinstance(theta, Field):
            assert isinstance(mapping, FieldTransform)
            return theta.shifts(mapping, self.out, self.align_corners, part), "shifts"
        if mapping.is_matrix:
            matrix = checked_matrix(mapping, theta.to(wide(theta.device)))
            return matrix, "affine" if mapping.is_affine else "projective"
        return mapping.shifts(theta, self.out, self.align_corners, part), "shifts"


@dataclass(frozen=True)
class Reached:
    """A part of a tile, where its points lie, and the taps that they have along each axis."""

    part: Part
    where: Tensor
    kind: str
    reaches: list[Reach]


def reached(sampling: Sampling, theta: Any, part: Part, rule: Rule, channels: int) -> Iterator[Reached]:
    """The parts that a tile is worked on in; the first may begin before it, in the columns."""
    part = _aligned(part)
    halves = _halves(part)
    if halves and math.prod(part.size) > (MANY if sampling.mapping.is_matrix else _POINTS):
        for half in halves:
            yield from reached(sampling, theta, half, rule, channels)
        return
    where, kind = sampling.where(theta, part)
    found = reaches(where, kind, part, sampling.size, rule, margins_of(rule, sampling.dtype))
    if halves and channels * math.prod(len(reach.pixels) for reach in found) > MANY:
        for half in halves:
            yield from reached(sampling, theta, half, rule, channels)
        return
    yield Reached(part, where, kind, found)


def within(rule: Rule, size: tuple[int, ...], part: Part, found: list[Reach]) -> Rule:
    """The rule for pixels that these reaches name, of an image of this size."""
    fill = rule.fill.to(wide(rule.fill.device)) if rule.filters and not rule.fill.is_complex() else rule.fill
    place = Within(size, tuple(reach.begin for reach in found), part)
    return rule._replace(words=None, filters=False, within=place, fill=fill)


def plain_tile(sampling: Sampling, theta: Any, read: Read, part: Part, rule: Rule, count: int) -> Tensor:
    """A part of the warped image, `[1, C, *part.size]`, from one image and its θ, without antialiasing."""
    marks = rule.fill.isnan() if rule.marks else None
    if marks is not None:
        rule = rule._replace(marks=False, words=None, fill=torch.where(marks, 0.0, rule.fill))
    output = torch.empty(1, count, *part.size, dtype=sampling.dtype)
    for one in reached(sampling, theta, part, rule, count):
        pixels = stored(read, sampling.dtype, one.reaches, sampling.size, rule)
        own = within(rule, sampling.size, one.part, one.reaches)
        warped = saturated(resample(pixels, one.where, one.kind, one.part.size, own), sampling.dtype)
        if marks is not None:
            warped = torch.where(_touches_outside(sampling, one, rule) & _column(marks, warped), torch.nan, warped)
        into, mine = one.part.within(part), part.within(one.part)
        output[(slice(None), slice(None), *into)] = warped[(slice(None), slice(None), *mine)]
    return output


def _touches_outside(sampling: Sampling, one: Reached, rule: Rule) -> Tensor:
    """Where anything outside of the image has a weight, `[1, 1, *size]`: where ones with NaN around show it."""
    found = reaches(one.where, one.kind, one.part, sampling.size, rule, (0,) * len(sampling.size))
    ones = torch.ones(1, 1, *(len(reach.pixels) for reach in found))
    fill = torch.full((1,), torch.nan, dtype=torch.float64)
    marked = within(rule, sampling.size, one.part, found)._replace(marks=True, fill=fill)
    return resample(ones, one.where, one.kind, one.part.size, marked).isnan()


def _column(marks: Tensor, like: Tensor) -> Tensor:
    return marks.reshape(1, -1, *[1] * (like.ndim - 2))


def _aligned(part: Part) -> Part:
    """The part, with the columns that stand before it in its block."""
    more = part.origin[-1] % _BLOCK
    size, origin = (*part.size[:-1], part.size[-1] + more), (*part.origin[:-1], part.origin[-1] - more)
    return Part(size, part.whole, origin)


def _halves(part: Part) -> list[Part]:
    """The part in two, along its longest axis; none of one that is small."""
    longest = max(range(len(part.size)), key=lambda axis: part.size[axis])
    n, step = part.size[longest], _BLOCK if longest == len(part.size) - 1 else 1
    first = -(-n // (2 * step)) * step
    if n <= step:
        return []
    return [
        Part(
            (*part.size[:longest], count, *part.size[longest + 1 :]),
            part.whole,
            (*part.origin[:longest], part.origin[longest] + start, *part.origin[longest + 1 :]),
        )
        for start, count in ((0, first), (first, n - first))
        if count > 0
    ]
