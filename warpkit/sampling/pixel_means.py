"""Means of whole blocks of pixels: what an antialiased warp comes to where its output pixels are such blocks."""

import itertools
from collections.abc import Sequence

from torch import Tensor

from warpkit import tracing
from warpkit.precision import arithmetic, saturated
from warpkit.sampling.rule import Rule

_NEAR = 1e-9  # pixels: what rounding does to a matrix in float64


def pixel_means(image: Tensor, matrix: Tensor, out: Sequence[int], rule: Rule, most: int) -> Tensor | None:
    """The image `[N, C, *S]` made smaller to `[N, C, *out]`, where each output pixel is a block of whole pixels.

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
    d, size = len(out), image.shape[2:]
    if any(row[i][j] != 0 for i, j in itertools.permutations(range(d), 2)):
        return None
    window, blocks = image, []
    for axis, (n, count) in enumerate(zip(size, out, strict=True)):
        scale, middle = row[d - 1 - axis][d - 1 - axis], row[d - 1 - axis][d]
        first = middle + (n - count * scale) / 2
        block, start = round(scale), round(first)
        level = block // min(block, most) if block > 0 else 0  # pixels of the one that sub-points are read from
        whole = abs(scale - block) * count <= _NEAR and abs(first - start) <= _NEAR
        halved = level > 0 and level & (level - 1) == 0 and block == level * min(block, most) and start % level == 0
        if not (whole and halved and 0 <= start <= n - count * block):
            return None
        window = window.narrow(2 + axis, start, count * block)
        blocks.append(block)
    if max(blocks) == 1:
        return None
    for axis, block in enumerate(blocks, start=2):
        window = mean_of_blocks(window, axis, block)
    means = saturated(window, image.dtype)
    return means if len(image) >= len(matrix) else means.repeat(len(matrix), *[1] * (image.ndim - 1))


def mean_of_blocks(pixels: Tensor, axis: int, block: int) -> Tensor:
    """The means of so many neighbours along an axis of `[N, C, *S]`, in the type that pixels are summed in."""
    kind = pixels.dtype if pixels.is_complex() else arithmetic(pixels.dtype, pixels.device)
    if block == 1:
        return pixels.to(kind)
    shape = (*pixels.shape[:axis], pixels.shape[axis] // block, block, *pixels.shape[axis + 1 :])
    return pixels.reshape(shape).mean(axis + 1, dtype=kind)
