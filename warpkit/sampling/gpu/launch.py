"""From tensors and a `Problem` to a kernel's arguments, and how many programs there are."""

import contextlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from warpkit.sampling.gpu import INTERPRETED
from warpkit.sampling.gpu.how import AFFINE, how_of
from warpkit.sampling.gpu.tables import packed
from warpkit.sampling.operators import layout
from warpkit.sampling.problem import Problem

Three = tuple[int, int, int]
_WARPS = 4
_ENOUGH = 1024  # programs


def blocks(channels: int, last: bool) -> tuple[int, int]:
    """Output points and channels of one program at a time: a fixed table by layout, with nothing tried out at run time.

    Threads that are neighbours have to read neighbours in memory. Triton does not see how pixels lie whose places are
    computed, and lets threads run along the channels: so of planes one channel is read at a time, for two points by
    each of 128 threads, and with the channels last 16 of them, for 64 points.
    """
    few = 1 << (channels - 1).bit_length()
    if INTERPRETED:  # large blocks take least time there
        return 1024, min(few, 16)
    return (64, min(few, 16)) if last else (256, 1)


def walked(channels: int, last: bool) -> tuple[int, int]:
    """The same where each place looks for the points that meet it: that is done once for many channels."""
    few = 1 << (channels - 1).bit_length()
    together = min(few, 16 if INTERPRETED else 128 if last else 8)
    return 1024 if INTERPRETED else min(256, 1024 // together), together


class Axes(NamedTuple):
    """Numbers of pixels, each for x, y, z: what is stored of an image (`size`), the image that −1 … 1 spans, and where
    the stored begins; the whole output, the part that is asked for, and where that begins. They go as in `Problem`.
    """

    size: Three
    extent: Three
    begin: Three
    whole: Three
    part: Three
    origin: Three


class Call:
    """A problem as kernels get it, for an image, or values, of one type."""

    def __init__(self, problem: Problem, number: torch.dtype, *tensors: Tensor) -> None:
        where, d = problem.where, len(problem.size)
        self.points = math.prod(problem.target)
        self.how = how_of(problem, max(_span(t[:1]) for t in (*tensors, where)))
        listed = self.how.kind < AFFINE
        self.where = where = where.reshape(where.shape[0], self.points, d) if listed else where.contiguous()
        shared = where.shape[0] == 1
        self.where_strides = (0 if shared else where.stride(0), where.stride(1), where.stride(2))
        self.table = packed(problem, number)
        lattice = (problem.whole, problem.target, problem.origin) if self.how.kind else ((), (), ())
        (whole, part, origin), stored = lattice, (problem.size, problem.extent, problem.begin)
        self.axes = Axes(*map(three, (*stored, whole, part, origin), (1, 1, 0, 1, 1, 0)))

    def programs(self, images: int, channels: int, shape: tuple[int, int], points: int | None = None) -> int:
        """How many programs there are for blocks of this shape; `points` of the output, unless given."""
        return images * -(-channels // shape[1]) * -(-(self.points if points is None else points) // shape[0])

    def tiles(self, images: int, channels: int, shape: tuple[int, int]) -> int:
        """How many blocks of channels a program takes one after another: 32 at most, as long as all processors of a
        large GPU have some programs.
        """
        most = min(32, -(-channels // shape[1]))
        return max(1, min(most, self.programs(images, channels, shape) // _ENOUGH))


def three(rows_first: Sequence[int], missing: int = 1) -> Three:
    """Numbers of the axes x, y, z."""
    x, y, z = (*reversed(rows_first), *[missing] * (3 - len(rows_first)))
    return x, y, z


def image_strides(image: Tensor, shared: bool | None = None) -> tuple[int, ...]:
    """Strides of x, y, z, channels and images. The last is 0 where one image serves all."""
    shared = image.shape[0] == 1 if shared is None else shared
    return *three(image.stride()[2:], 0), image.stride(1), 0 if shared else image.stride(0)


def point_strides(output: Tensor, points: int) -> tuple[Tensor, tuple[int, int, int]]:
    """The output as [N, C, points], one step from each point to the next; strides of points, channels and images."""
    flat = output.reshape(*output.shape[:2], points)
    return flat, (flat.stride(2), flat.stride(1), flat.stride(0))


def is_last(image: Tensor) -> bool:
    """Whether the channels of a pixel are neighbours."""
    return layout(image) != torch.contiguous_format


def fresh(shape: Sequence[int], dtype: torch.dtype, device: torch.device, zeros: bool = False) -> Tensor:
    """A new tensor that a kernel writes to."""
    return (torch.zeros if zeros else torch.empty)(tuple(shape), dtype=dtype, device=device)


def laid_out(shape: Sequence[int], like: Tensor, dtype: torch.dtype, zeros: bool = False) -> Tensor:
    """A new tensor [N, C, *S], with the channels last where they are so in what is sampled."""
    if is_last(like) and len(shape) == like.ndim:
        return fresh((shape[0], *shape[2:], shape[1]), dtype, like.device, zeros).movedim(-1, 1)
    return fresh(shape, dtype, like.device, zeros)


def start(kernel: Any, programs: int, device: torch.device, *arguments: Any) -> None:
    """Start a kernel on its device; none of no programs."""
    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
        kernel[(programs,)](*arguments, num_warps=_WARPS, enable_fp_fusion=True)


def filling(problem: Problem, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, int]:
    """The numbers that are filled in, and which they are: 0 for none, 1 for one number, 2 for one for each channel."""
    fill = problem.fill.detach().to(device, dtype).contiguous()
    return fill, min(fill.numel(), 2)


def resolved(tensor: Tensor) -> Tensor:
    """With numbers in memory that are not yet to be negated or conjugated."""
    return tensor.resolve_conj().resolve_neg()


def _span(tensor: Tensor) -> int:
    """Elements from the first to the last in memory."""
    return (
        1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True)) if tensor.numel() else 0
    )
