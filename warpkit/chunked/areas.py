"""Antialiased warps of a tile: of the levels of the image's pyramid, only what its footprints reach is averaged."""

import contextlib
import functools
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from warpkit.antialias import marked, shown
from warpkit.chunked.coefficients import margins_of, read_along, stored
from warpkit.chunked.reading import Held, Read, gather, intervals
from warpkit.chunked.tiles import MANY, Sampling, plain_tile, reached, within
from warpkit.chunked.windows import Reach, reaches
from warpkit.footprints import area_means, between_pixels, footprints, is_regular, subdivided
from warpkit.geometry import Part
from warpkit.precision import arithmetic, saturated
from warpkit.sampling.pixel_means import Blocks, mean_of_blocks
from warpkit.sampling.pyramid import Level, Levels
from warpkit.sampling.rule import Rule
from warpkit.sampling.sampler import resample

_CPU = torch.device("cpu")
# Jacobians are found in forward mode, whose level torch keeps for the whole process: one thread would see another's.
_alone = threading.RLock()
_AROUND = 64  # pixels of the image around what is read


def antialiased_tile(sampling: Sampling, theta: Any, read: Read, part: Part, rule: Rule, count: int) -> Tensor:
    """A part of the antialiased image, `[1, C, *part.size]`, from one image and its θ: `antialiased` of a part."""
    if sampling.blocks is not None:
        return saturated(_averaged(read, _under(sampling.blocks, part), sampling.blocks, count), sampling.dtype)
    if rule.marks:
        ones = replace(sampling, dtype=torch.float32)

        def warped(own: Rule, of_ones: bool) -> Tensor:
            if of_ones:
                return antialiased_tile(ones, theta, _ones, part, own, 1)
            return antialiased_tile(sampling, theta, read, part, own, count)

        return marked(rule, warped)
    output = torch.empty(1, count, *part.size, dtype=sampling.dtype)
    windows = Windows(sampling, rule, read, count)
    matrix = _matrix(sampling, theta)
    with contextlib.nullcontext() if is_regular(matrix, rule.padding) else _alone:
        for piece in _pieces(sampling, theta, part, rule, count):
            if is_regular(matrix, rule.padding):
                windows.ahead(matrix, piece, sampling.most)
            means, changed = area_means(windows, sampling.mapping, theta, matrix, piece, sampling.most)
            plain = functools.partial(plain_tile, sampling, theta, windows.image, piece, rule, count)
            made = shown(means, changed, sampling.dtype, plain)
            into, mine = piece.within(part), part.within(piece)
            output[(slice(None), slice(None), *into)] = made[(slice(None), slice(None), *mine)]
    return output


def pixels_met(sampling: Sampling, theta: Any, part: Part, rule: Rule, count: int) -> Iterator[list[Tensor]]:
    """What a tile reads for its footprints: of each axis, rows first, pixels, all of whose combinations are read."""
    if sampling.blocks is not None:
        yield _under(sampling.blocks, part)
        return
    matrix, windows = _matrix(sampling, theta), _Recorder(sampling, rule, _ones, count)
    for piece in _pieces(sampling, theta, part, rule, count):
        if is_regular(matrix, rule.padding):
            yield from (windows.met_by(*one) for one in windows.footing(matrix, piece, sampling.most))
        else:
            with _alone:
                area_means(windows, sampling.mapping, theta, matrix, piece, sampling.most)
    yield from windows.met


class Windows(Levels):
    """The levels of an image that is read in boxes: of each, what is asked for."""

    def __init__(self, sampling: Sampling, rule: Rule, read: Read, channels: int) -> None:
        super().__init__(sampling.size, 1, rule, _CPU)
        self._channels = channels
        self.image = Held(read, sampling.size, MANY // channels, _AROUND)
        self._held: dict[Level, Held] = {}
        self._dtype = sampling.dtype if sampling.dtype.is_complex else arithmetic(sampling.dtype, _CPU)

    def sampled(self, level: Level, where: Tensor, kind: str, part: Part, images: Tensor | slice) -> Tensor:
        """Read the pixels, or coefficients, that these points reach, and sample them."""
        found = self._reaches(level, where, kind, part)
        many = self._channels * math.prod(len(reach.pixels) for reach in found) > MANY
        if many and kind == "points" and part.size[0] > 1:  # they need not lie together
            halves = [(half, Part.all_of(half.shape[1:-1])) for half in where.tensor_split(2, dim=1)]
            return torch.cat([self.sampled(level, half, kind, own, images) for half, own in halves], dim=2)
        rule, size = self.rule_of(level), self.size_of(level)
        pixels = stored(self._reader(level), self._dtype, found, size, rule)
        return resample(pixels, where, kind, part.size, within(rule, size, part, found))

    def footing(self, matrix: Tensor, part: Part, most: int) -> Iterator[tuple[Level, list[Reach]]]:
        """What the footprints of affine maps stand on: the levels, and what of each they reach."""
        for one in footprints(self, matrix, most):
            fine = subdivided(part, one.numbers)
            for level, _ in one.levels:
                yield level, self._reaches(level, self.square(level, one.matrix, fine), "affine", fine)

    def ahead(self, matrix: Tensor, part: Part, most: int) -> None:
        """Keep what the footprints of affine maps stand on in this part, so that nothing is averaged twice."""
        footing = list(self.footing(matrix, part, most))
        self.image.ahead([self.met_by(level, found) for level, found in footing])
        for held in {level for level, _ in footing if any(level)}:
            self._averages_of(held).ahead([self._along(level, found) for level, found in footing if level == held])

    def _reaches(self, level: Level, where: Tensor, kind: str, part: Part) -> list[Reach]:
        rule = self.rule_of(level)
        return reaches(where, kind, part, self.size_of(level), rule, margins_of(rule, self._dtype))

    def _along(self, level: Level, found: list[Reach]) -> list[Tensor]:
        return read_along(found, self._dtype, self.size_of(level), self.rule_of(level))

    def met_by(self, level: Level, found: list[Reach]) -> list[Tensor]:
        """The pixels of the image that are read for these of a level, as `pixels_met` tells them."""
        along = self._along(level, found)
        if not any(level):
            return along
        each = zip(along, reversed(range(len(level))), reversed(level), strict=True)
        return [torch.unique(torch.cat([self.under(a, *run, e) for run in intervals(index)])) for index, a, e in each]

    def _reader(self, level: Level) -> Read:
        """What reads boxes of a level."""
        return self._averages_of(level) if any(level) else lambda box: self.image(box).to(self._dtype)

    def _averages_of(self, level: Level) -> Held:
        if level not in self._held:
            around = max(4, _AROUND // 2 ** max(level))
            self._held[level] = Held(self._averages(level), self.size_of(level), MANY // self._channels, around)
        return self._held[level]

    def _averages(self, level: Level) -> Read:
        blocks = [Blocks(0, 2**exponent) for exponent in reversed(level)]

        def read(box: Any) -> Tensor:
            each = zip(box, reversed(range(len(level))), reversed(level), strict=True)
            under = [self.under(axis, ends[0], ends[1], exponent) for ends, axis, exponent in each]
            return _averaged(self.image, under, blocks, self._channels)

        return read


class _Recorder(Windows):
    """The levels of an image that is not read: what would be is told by `met`."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.met: list[list[Tensor]] = []

    def sampled(self, level: Level, where: Tensor, kind: str, part: Part, images: Tensor | slice) -> Tensor:
        """Note what would be read, and give zeros for it."""
        self.met.append(self.met_by(level, self._reaches(level, where, kind, part)))
        return torch.zeros((), dtype=self._dtype).expand(1, self._channels, *part.size)


def _matrix(sampling: Sampling, theta: Any) -> Tensor | None:
    return between_pixels(sampling.mapping, theta, sampling.size, sampling.out, sampling.align_corners)


def _pieces(sampling: Sampling, theta: Any, part: Part, rule: Rule, count: int) -> Iterator[Part]:
    """What a tile is worked on in: parts of an affine map whose footprints are few pixels, or all of it, in boxes."""
    if is_regular(_matrix(sampling, theta), rule.padding):
        yield from (one.part for one in reached(sampling, theta, part, rule, count))
    else:
        yield part


def _under(blocks: Sequence[Blocks], part: Part) -> list[Tensor]:
    """The pixels along each axis of which a part's are means."""
    ends = [(b.start + first * b.edge, n * b.edge) for b, first, n in zip(blocks, part.origin, part.size, strict=True)]
    return [torch.arange(first, first + n) for first, n in ends]


def _averaged(read: Read, pixels: list[Tensor], blocks: Sequence[Blocks], channels: int) -> Tensor:
    """The means over blocks of these pixels, rows first; x is averaged first, some of the slowest rows at a time."""
    rows = max(1, MANY // (channels * math.prod(map(len, pixels[1:]))))
    slabs = []
    for some in torch.split(pixels[0], rows):
        slab = gather(read, [some, *pixels[1:]])
        for axis in reversed(range(1, len(blocks))):
            slab = mean_of_blocks(slab, 2 + axis, blocks[axis].edge)
        slabs.append(slab)
    return mean_of_blocks(torch.cat(slabs, dim=2), 2, blocks[0].edge)


def _ones(box: Any) -> Tensor:
    return torch.ones(1, 1, *(stop - start for start, stop in box))
