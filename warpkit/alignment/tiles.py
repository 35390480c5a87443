"""The θ that brings an image larger than memory onto another one: from a small copy of both to tiles of the finest.

Both are averaged over blocks to a small copy, which is matched in memory. From there Gauss and Newton's steps go on, at
a quarter of the block after each level, down to the pixels themselves; they look at tiles that are spread over the
fixed image, so that what is read does not grow with the images.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from warpkit.chunked.axes import Layout, layout_of
from warpkit.chunked.reading import Box
from warpkit.chunked.sources import levels_of, opened, source_of, tensor_of
from warpkit.chunked.warping import tensors
from warpkit.errors import InputError, require
from warpkit.geometry import to_normalised, to_pixels
from warpkit.quoting import Told
from warpkit.sampling.sampler import sample
from warpkit.transforms.base import Transform, transforms
from warpkit.transforms.given import TransformLike

_SMALL = 2**19  # pixels of the small copies, which are matched in memory
_FINER = 4  # from one level to the next
_EDGES, _TILES = {1: 4096, 2: 128, 3: 32}, {1: 64, 2: 8, 3: 4}  # of a tile's axis, and tiles along one, at most
_LEAST = 16  # pixels along an axis that is averaged further
_STEPS = 8
Matched = Callable[[Tensor, Tensor], Tensor]  # θ [1, P] of two images [1, C, *S]
_MORE = 24  # pixels that are read around a tile's own, so that the next step finds its pixels here


def align_tiles(
    moving: Any,
    fixed: Any,
    transform: TransformLike,
    matched: Matched,
    *,
    init: Any = None,
    axes: str | None = None,
    report: Callable[[float, float], None],
) -> Tensor:
    """The θ `[1, P]` of `align` for arrays, in float64; `InputError` for what they cannot be.

    `matched` matches the small copies.
    """
    pair = [_Image.of(given, axes, name) for name, given in (("moving", moving), ("fixed", fixed))]
    source, target = pair
    d = len(target.size)
    mapping = transforms.shared(transform, torch.device("cpu"), ndim=d)
    told = Told(f"{type(mapping).__name__} in {mapping.ndim}-D")
    right = mapping.ndim == d and not mapping.is_field
    require(right, "transform", expected=f"one of plain numbers in {d}-D", given=told)
    same = len(source.size) == d and source.channels == target.channels
    given = Told(f"{target.channels} in {d}-D and {source.channels} in {len(source.size)}-D")
    require(same, "moving", expected="as many channels and dimensions as fixed has", given=given)
    block = max(image.coarsest() for image in pair)
    if init is None:
        theta = matched(source.small(block), target.small(block)).double()
    else:
        theta = tensors(init).double()
        theta = theta[None] if theta.ndim == 1 else theta
        theta = mapping.as_theta(theta)
    spread = float(target.small(block).double().var(correction=0)) or 1.0
    levels = [block // _FINER**k for k in range(1 + round(math.log(block, _FINER)))]
    for number, size in enumerate(levels, start=1):
        theta, value = _refined(source, target, mapping, theta, size)
        report(number / len(levels), value / spread)
    return theta


class _Image(NamedTuple):
    """One image that is read in boxes: its levels, by the pixels of the finest that make one of theirs."""

    levels: dict[tuple[int, ...], Any]
    layout: Layout

    @staticmethod
    def of(given: Any, axes: str | None, what: str) -> "_Image":
        given = opened(given, what) if isinstance(given, str | os.PathLike) else given
        source = source_of(given, what=what)
        layout = layout_of(source.axes if axes is None else axes, source.array.shape)
        images = math.prod(layout.size_of(layout.images))
        require(images == 1, what, expected="one image", given=Told(f"{images} of {layout.axes}"))
        found = _Image({(1,) * len(layout.space): source.array}, layout)
        for path in levels_of(given)[1:] if hasattr(given, "array_keys") else []:
            coarser = given[path]
            own = Layout(layout.axes, tuple(coarser.shape)).size_of(layout.space)
            blocks = tuple(round(n / m) for n, m in zip(found.size, own, strict=True))
            # Others are not means over whole blocks of pixels, and would lie elsewhere.
            if all(n // b <= m <= -(-n // b) for n, m, b in zip(found.size, own, blocks, strict=True)):
                found.levels[blocks] = coarser
        return found

    @property
    def size(self) -> tuple[int, ...]:
        return self.layout.size_of(self.layout.space)

    @property
    def channels(self) -> int:
        return self.layout.size_of("C")[0]

    def coarsest(self) -> int:
        """How many pixels along a long axis make one of the small copy: a power of 4."""
        block = 1
        while math.prod(self.size_in(block)) > _SMALL and self.blocks(_FINER * block) != self.blocks(block):
            block *= _FINER
        return block

    def blocks(self, block: int) -> tuple[int, ...]:
        """As many pixels along each axis, rows first; fewer along a short one, as the slices of a stack."""
        found = [block] * len(self.size)
        for axis, n in enumerate(self.size):
            while found[axis] > 1 and n // found[axis] < _LEAST:
                found[axis] //= _FINER
        return tuple(found)

    def size_in(self, block: int) -> list[int]:
        """How many whole blocks there are along each axis; what is left of one at the end is left out."""
        return [n // b for n, b in zip(self.size, self.blocks(block), strict=True)]

    def read(self, box: Box, block: int) -> Tensor:
        """The means over whole blocks, `[1, C, *box]` in float64; the box counts blocks."""
        blocks = self.blocks(block)
        whole = [own for own in self.levels if all(b % n == 0 for b, n in zip(blocks, own, strict=True))]
        held = max(whole, key=math.prod)
        rest = [b // n for b, n in zip(blocks, held, strict=True)]
        fine = tuple((start * n, stop * n) for (start, stop), n in zip(box, rest, strict=True))
        where = self.layout.slices([0] * len(self.layout.images), slice(0, self.channels), fine)
        values = self.levels[held][where]
        values = values.compute() if hasattr(values, "compute") else values
        found = self.layout.to_images(tensor_of(values)).double()
        for axis, n in enumerate(rest, start=2):
            shape = (*found.shape[:axis], -1, n, *found.shape[axis + 1 :])
            found = found.reshape(shape).mean(axis + 1) if n > 1 else found
        return found

    def small(self, block: int) -> Tensor:
        """The whole in blocks, a band of rows at a time."""
        count = self.size_in(block)
        rows = max(1, 2**23 // (self.channels * math.prod(self.blocks(block)) * math.prod(count[1:])))
        bands = range(0, count[0], rows)
        rest = tuple((0, n) for n in count[1:])
        return torch.cat([self.read(((k, min(count[0], k + rows)), *rest), block).float() for k in bands], dim=2)


class _Tile:
    """A box of the fixed image at one level, and the pixels of the moving one that were read for it."""

    def __init__(self, target: _Image, box: Box, block: int) -> None:
        self.pixels = target.read(box, block).flatten(2)[0]  # [C, M]
        each = []
        for (start, stop), n, b in zip(box, target.size, target.blocks(block), strict=True):
            middle = (torch.arange(start, stop, dtype=torch.float64) + 0.5) * b - 0.5
            each.append(to_normalised(middle, n, False))
        self.points = torch.stack(torch.meshgrid(*each, indexing="ij")[::-1], dim=-1).flatten(0, -2)[None]
        self.box: Box | None = None
        self.window = self.pixels

    def seen(self, source: _Image, coords: Tensor, block: int) -> tuple[Tensor, Tensor, Tensor]:
        """The moving image at coordinates `[M, D]`, [C, M], its slopes [C, M, D], and where it shows something."""
        count, blocks = source.size_in(block), source.blocks(block)
        each = zip(coords.unbind(-1), reversed(source.size), reversed(blocks), strict=True)
        pixels = [(to_pixels(x, n, False) + 0.5) / b - 0.5 for x, n, b in each]
        inside = torch.stack([(p >= 0) & (p <= n - 1) for p, n in zip(pixels, reversed(count), strict=True)]).all(0)
        if not bool(inside.any()):
            nothing = coords.new_zeros(len(self.pixels), len(coords))
            return nothing, nothing[..., None].expand(-1, -1, coords.shape[-1]), inside
        ends = [(int(p[inside].min().floor()), int(p[inside].max().ceil())) for p in reversed(pixels)]
        held = self.box is not None and all(
            a <= max(0, low - 2) and min(n, high + 3) <= b
            for (a, b), (low, high), n in zip(self.box, ends, count, strict=True)
        )
        if not held:
            self.box = tuple(
                (max(0, low - _MORE), min(n, high + _MORE)) for (low, high), n in zip(ends, count, strict=True)
            )
            self.window = source.read(self.box, block)
        assert self.box is not None
        moved = [to_normalised(p - a, b - a, False) for p, (a, b) in zip(pixels, reversed(self.box), strict=True)]
        where = torch.stack(moved, dim=-1)[None].expand(len(self.pixels), -1, -1).clone().requires_grad_()
        with torch.enable_grad():
            values = sample(self.window[0][:, None], where, kernel="bicubic", padding_mode="border")[:, 0]
            (slopes,) = torch.autograd.grad(values.sum(), where)
        wide = zip(source.size, blocks, self.box, strict=True)
        scale = torch.tensor([n / (k * (b - a)) for n, k, (a, b) in wide][::-1], dtype=torch.float64)
        return values.detach(), slopes * scale, inside  # in the moving image's own coordinates


def _refined(source: _Image, target: _Image, mapping: Transform, theta: Tensor, block: int) -> tuple[Tensor, float]:
    """θ after Gauss and Newton's steps at one level, damped where one makes it worse (Marquardt), and its loss."""
    tiles = [_Tile(target, box, block) for box in _spread(target.size_in(block))]
    best, damping = _normal(source, mapping, theta, tiles, block), 1e-6
    for _ in range(_STEPS):
        value, gradient, curvature = best
        damped = curvature + damping * torch.diag(curvature.diagonal().clamp_min(1e-12 * curvature.diagonal().max()))
        step = torch.linalg.lstsq(damped, -gradient[:, None]).solution[:, 0]
        tried = _normal(source, mapping, theta + step, tiles, block)
        if tried[0] < value:
            theta, best, damping = theta + step, tried, damping / 10
            if value - tried[0] < 1e-7 * value:
                break
        else:
            damping = max(damping, 1e-6) * 100
            if damping > 1e4:
                break
    return theta, best[0]


def _normal(
    source: _Image, mapping: Transform, theta: Tensor, tiles: Sequence[_Tile], block: int
) -> tuple[float, Tensor, Tensor]:
    """The mean square of the difference over all tiles, half its gradient in θ, and half its curvature (Gauss's)."""
    p = theta.shape[1]
    total, count = 0.0, 0
    gradient, curvature = torch.zeros(p, dtype=torch.float64), torch.zeros(p, p, dtype=torch.float64)
    axes = torch.eye(p, dtype=torch.float64)
    for tile in tiles:
        repeated = theta.expand(p, -1).contiguous()
        coords, motion, *_ = torch.func.jvp(lambda t, tile=tile: mapping(t, tile.points), (repeated,), (axes,))
        values, slopes, inside = tile.seen(source, coords[0], block)
        rows = torch.einsum("cmd,pmd->cmp", slopes, motion)[:, inside].reshape(-1, p)
        rest = (values - tile.pixels)[:, inside].reshape(-1)
        total, count = total + float(rest.square().sum()), count + len(rest)
        gradient, curvature = gradient + rows.T @ rest, curvature + rows.T @ rows
    if count == 0:
        raise InputError("moving and fixed do not overlap under this θ: give init, from where to start")
    return total / count, gradient / count, curvature / count


def _spread(size: Sequence[int]) -> list[Box]:
    """Boxes that are spread over an image of this size, or cover it where it is small."""
    along, d = [], len(size)
    for n in size:
        edge = min(n, _EDGES[d])
        number = min(_TILES[d], -(-n // edge))
        starts = np.unique(np.linspace(0, n - edge, number).round().astype(int))
        along.append([(int(start), int(start) + edge) for start in starts])
    grids = np.stack(np.meshgrid(*(np.arange(len(each)) for each in along), indexing="ij"), axis=-1)
    return [tuple(each[k] for each, k in zip(along, index, strict=True)) for index in grids.reshape(-1, len(size))]
