"""Pixels by their indices along each axis, read in as few boxes as they lie in."""

import functools
import itertools
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from warpkit.geometry import joined

_GAP = 32  # pixels that are read along rather than left out

Box = tuple[tuple[int, int], ...]  # first and one behind the last along each axis, rows first
Read = Callable[[Box], Tensor]  # → [1, C, *box]


def gather(read: Read, indices: list[Tensor]) -> Tensor:
    """What `read` gives at all combinations of these indices, rows first: `[1, C, *counts]`."""
    axes = [intervals(index) for index in indices]
    whole = joined([read(box) for box in itertools.product(*axes)], [len(runs) for runs in axes])
    for axis, (index, runs) in enumerate(zip(indices, axes, strict=True)):
        whole = _picked(whole, 2 + axis, index, runs)
    return whole


class MissingError(RuntimeError):
    """Something was to be read that is in no chunk that was asked for."""


class Held:
    """Boxes of an image of which the last ones are kept, with what lies around them: the next ones lie near."""

    def __init__(self, read: Read, size: tuple[int, ...], most: int, around: int) -> None:
        self._read, self._size, self._most, self._around = read, size, most, around
        self._box: Box | None = None
        self._values: Tensor | None = None

    def ahead(self, parts: Iterable[list[Tensor]]) -> None:
        """Keep the box of all these pixels, rows first, when it is first read; of at most `most` pixels."""
        ends = [[(int(x.min()), int(x.max()) + 1) for x in part] for part in parts]
        if ends:
            self._keep(functools.reduce(_hull, map(tuple, ends)))

    def __call__(self, box: Box) -> Tensor:
        """The pixels in a box, `[1, C, *box]`."""
        if not self._holds(box):
            more = self._around
            wide = tuple((max(0, a - more), min(n, b + more)) for (a, b), n in zip(box, self._size, strict=True))
            both = _hull(wide, self._box or wide)
            self._keep(both if _count(both) <= 4 * _count(wide) else wide)
        if self._box is not None and self._values is None:
            try:
                self._values = self._read(self._box)
            except MissingError:  # the tile has the chunks that it asked for, which need not hold what lies around
                self._box = None
        if self._box is None or self._values is None:
            return self._read(box)
        where = [slice(a - first, b - first) for (a, b), (first, _) in zip(box, self._box, strict=True)]
        return self._values[(slice(None), slice(None), *where)]

    def _keep(self, box: Box) -> None:
        self._box, self._values = box if _count(box) <= self._most else None, None

    def _holds(self, box: Box) -> bool:
        own = self._box
        return own is not None and all(first <= a and b <= last for (a, b), (first, last) in zip(box, own, strict=True))


def _hull(a: Box, b: Box) -> Box:
    return tuple((min(x[0], y[0]), max(x[1], y[1])) for x, y in zip(a, b, strict=True))


def _count(box: Box) -> int:
    return math.prod(stop - start for start, stop in box)


def intervals(index: Tensor) -> list[tuple[int, int]]:
    """The runs of neighbours in which these indices lie."""
    each = torch.unique(index).tolist()
    found = [[each[0], each[0] + 1]]
    for at in each[1:]:
        if at > found[-1][1] + _GAP:
            found.append([at, at])
        found[-1][1] = at + 1
    return [(first, end) for first, end in found]


def _picked(values: Tensor, axis: int, index: Tensor, runs: list[tuple[int, int]]) -> Tensor:
    places = torch.cat([torch.arange(first, end) for first, end in runs])
    if len(places) == len(index) and bool((places == index).all()):
        return values
    at = torch.searchsorted(places, index)
    signed = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}.get(values.dtype)
    if signed is not None:  # torch selects no wide unsigned integers
        return values.view(signed).index_select(axis, at).view(values.dtype)
    return values.index_select(axis, at)
