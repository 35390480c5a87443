"""Generated inputs: seeds that become tensors, sizes, padding, and points that are known to lie off the joints."""

import math

import torch
from hypothesis import strategies as st
from torch import Tensor

import warpkit as wk

MODES = ("zeros", "border", "reflection", "wrap")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SIGNED = (torch.int8, torch.int16, torch.int32, torch.int64)
UNSIGNED = (torch.uint8, torch.uint16, torch.uint32, torch.uint64)

seeds = st.integers(0, 2**31 - 1)
alignments = st.booleans()
dtypes = st.sampled_from((torch.float32, torch.float64))


def sizes(ndim: int, low: int = 1, high: int = 6) -> st.SearchStrategy[tuple[int, ...]]:
    """Sizes of images and outputs, rows first."""
    return st.tuples(*[st.integers(low, high)] * ndim)


def any_modes(ndim: int) -> st.SearchStrategy[tuple[str, ...]]:
    """A padding for each axis; "none" too, which extends nothing and so has no rule for indices."""
    return st.tuples(*[st.sampled_from((*MODES, "none"))] * ndim)


def modes(ndim: int) -> st.SearchStrategy[tuple[str, ...]]:
    """A padding mode for each of x, y, z."""
    return st.tuples(*[st.sampled_from(MODES)] * ndim)


def uniform(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers in −1 … 1; the same seed gives the same numbers in every type."""
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1).to(dtype)


def to_normalised(pixels: Tensor, size: tuple[int, ...], align_corners: bool) -> Tensor:
    """Pixel coordinates [..., D] (x, y, z) of an image of `size` as normalised ones."""
    n = torch.tensor(size[::-1], dtype=pixels.dtype)
    return pixels * 2 / (n - 1) - 1 if align_corners else (2 * pixels + 1) / n - 1


def to_pixels(coords: Tensor, size: tuple[int, ...], align_corners: bool) -> Tensor:
    """The pixel coordinates of normalised ones."""
    n = torch.tensor(size[::-1], dtype=coords.dtype)
    return (coords + 1) * (n - 1) / 2 if align_corners else ((coords + 1) * n - 1) / 2


def pixels_off_joints(seed: int, count: int, size: tuple[int, ...], kernel: wk.Kernel) -> Tensor:
    """`count` points in and around an image, [count, D] in pixels, each a tenth of a piece or more from a joint."""
    u = (uniform(seed, count, len(size), 2) + 1) / 2
    n = torch.tensor(size[::-1], dtype=torch.float64) + 6
    cell = (u[..., 0] * n * kernel.pieces).floor() - 3 * kernel.pieces
    return kernel.radius + (cell + 0.1 + 0.8 * u[..., 1]) / kernel.pieces


def distance_to_joints(coords: Tensor, size: tuple[int, ...], align_corners: bool, kernel: wk.Kernel) -> float:
    """How near the nearest joint is to any of these normalised coordinates, in pixels."""
    cells = (to_pixels(coords.double(), size, align_corners) - kernel.radius) * kernel.pieces
    return (cells - cells.round()).abs().min().item() / kernel.pieces if math.prod(coords.shape) else math.inf
