"""Pixels by their indices along each axis, read in as few boxes as they lie in."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

_GAP = 32  # pixels that are read along rather than left out

Box = tuple[tuple[int, int], ...]  # first and one behind the last along each axis, rows first
Read = Callable[[Box], Tensor]  # → [1, C, *box]


def gather(read: Read, indices: list[Tensor]) -> Tensor:
    """What `read` gives at all combinations of these indices, rows first: `[1, C, *counts]`."""
    axes = [intervals(index) for index in indices]
    whole = _joined(read, axes)
    for axis, (index, runs) in enumerate(zip(indices, axes, strict=True)):
        whole = _picked(whole, 2 + axis, index, runs)
    return whole


def _joined(read: Read, axes: list[list[tuple[int, int]]]) -> Tensor:
    boxes = itertools.product(*axes)
    if all(len(runs) == 1 for runs in axes):
        return read(next(boxes))
    parts = [read(box) for box in boxes]
    for axis in reversed(range(len(axes))):
        count = len(axes[axis])
        parts = [torch.cat(parts[k : k + count], dim=2 + axis) for k in range(0, len(parts), count)]
    return parts[0]


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
