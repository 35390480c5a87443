"""Means of whole blocks of pixels: what an antialiased warp comes to where its output pixels are such blocks."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from warpkit import tracing
from warpkit.precision import arithmetic, saturated
from warpkit.sampling.rule import Rule

_NEAR = 1e-9  # pixels: what rounding does to a matrix in float64


def pixel_means(image: Tensor, matrix: Tensor, out: Sequence[int], rule: Rule, most: int) -> Tensor | None:
    """The image `[N, C, *S]` made smaller to `[N, C, *out]`, where each output pixel is a block of whole pixels."""
    blocks = whole_blocks(matrix, image.shape[2:], out, rule, most)
    if blocks is None:
        return None
    for axis, (block, n) in enumerate(zip(blocks, out, strict=True), start=2):
        image = image.narrow(axis, block.start, n * block.edge)
    means = saturated(means_of_blocks(image, blocks), image.dtype)
    return means if len(image) >= len(matrix) else means.repeat(len(matrix), *[1] * (image.ndim - 1))


class Blocks(NamedTuple):
    """What output pixels are along one axis of the image: the first pixel of the first, and how many each has."""

    start: int
    edge: int


def whole_blocks(
    matrix: Tensor, size: Sequence[int], out: Sequence[int], rule: Rule, most: int
) -> tuple[Blocks, ...] | None:
    """The blocks of whole pixels, for each axis, rows first, that output pixels are.

    `matrix [B, D, D + 1]` leads from output pixels to pixels of the image, each counted from the middle. None where
    blocks are cut, reach beyond the image, or where sub-points would not lie in the middles of a pyramid's pixels, so
    that the values are those of the sub-points, and where θ learns: its gradient needs what lies between the pixels.
    """
    if matrix.requires_grad or tracing.is_traced(matrix) or tracing.function_transforms_active():
        return None
    if len(matrix) == 0 or bool((matrix != matrix[:1]).any()):
        return None
    if not all(kernel.interpolating for kernel in rule.kernels):
        return None
    row: list[list[float]] = matrix[0].tolist()
    d = len(out)
    if any(row[i][j] != 0 for i, j in itertools.permutations(range(d), 2)):
        return None
    blocks = []
    for axis, (n, count) in enumerate(zip(size, out, strict=True)):
        scale, middle = row[d - 1 - axis][d - 1 - axis], row[d - 1 - axis][d]
        first = middle + (n - count * scale) / 2
        block, start = round(scale), round(first)
        level = block // min(block, most) if block > 0 else 0  # pixels of the one that sub-points are read from
        whole = abs(scale - block) * count <= _NEAR and abs(first - start) <= _NEAR
        halved = level > 0 and level & (level - 1) == 0 and block == level * min(block, most) and start % level == 0
        if not (whole and halved and 0 <= start <= n - count * block):
            return None
        blocks.append(Blocks(start, block))
    return None if max(block.edge for block in blocks) == 1 else tuple(blocks)


def means_of_blocks(pixels: Tensor, blocks: Sequence[Blocks]) -> Tensor:
    """The means of `[N, C, *S]` over blocks, in the type that pixels are summed in."""
    for axis, block in reversed(list(enumerate(blocks, start=2))):  # x first, as a pyramid has it
        pixels = mean_of_blocks(pixels, axis, block.edge)
    return pixels


def mean_of_blocks(pixels: Tensor, axis: int, block: int) -> Tensor:
    """The means of so many neighbours along an axis of `[N, C, *S]`, in the type that pixels are summed in.

    They are added in an order of their own, wherever they lie: `torch.mean` has other bits in another place.
    """
    total = pixels.to(pixels.dtype if pixels.is_complex() else arithmetic(pixels.dtype, pixels.device))
    left = block
    while left > 1:
        few = 2 if left % 2 == 0 else left
        shape = (*total.shape[:axis], total.shape[axis] // few, few, *total.shape[axis + 1 :])
        total = functools.reduce(torch.add, total.reshape(shape).unbind(axis + 1))
        left //= few
    return total if block == 1 else total / block
