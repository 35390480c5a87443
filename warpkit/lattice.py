"""Output lattices, and the way between normalised and pixel coordinates.

−1 and 1 are the outer edges of an axis's border pixels or, with `align_corners`, their centres.
"""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.errors import InputError
from warpkit.precision import wide


def lattice(
    size: int | Sequence[int],
    *,
    align_corners: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "*size D"]:
    """Where the pixels of an image of this size lie, in normalised coordinates.

    `size` goes like an array's shape (rows first): (W,), (H, W) or (D, H, W). The result, `[*size, D]`, has x, y, z in
    its last axis and no batch: write `lattice(size)[None]` where one is expected. Raises `InputError` for a size that
    is not one to three positive integers.

    >>> lattice((1, 2)).tolist()
    [[[-0.5, 0.0], [0.5, 0.0]]]
    """
    size = check_size(size)
    if dtype is not None and not dtype.is_floating_point:
        raise InputError(f"dtype: expected a floating-point type, got {dtype}")
    if not isinstance(align_corners, bool):
        raise InputError(f"align_corners: expected True or False, got {align_corners!r}")
    device = torch.device(device) if device is not None else torch.get_default_device()
    axes = [_axis(n, align_corners, device).to(dtype or torch.get_default_dtype()) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)


def _axis(n: int, align_corners: bool, device: torch.device) -> Float[Tensor, " n"]:
    scale, offset = index_to_normalised(n, align_corners)
    index = torch.arange(n, dtype=wide(device), device=device)
    # 2i + 1 − n is exact, so the axis is symmetric and its middle is 0 to the last bit.
    return (2 * index + (1 - n)) * (scale / 2) if scale else index + offset


def check_size(size: Any, ndim: int | None = None) -> tuple[int, ...]:
    """A size as a tuple: `ndim` positive integers, or one to three where `ndim` is None."""
    given = [size] if hasattr(size, "__index__") and not isinstance(size, Tensor) else size
    each: tuple[Any, ...]
    try:
        each = tuple(map(_whole, given))
    except TypeError:
        each = ()
    right = len(each) == ndim if ndim else 1 <= len(each) <= 3
    right = right and all(n > 0 for n in each) and not isinstance(size, str | bytes)
    if not right:
        raise InputError(f"size: expected {ndim or 'one to three'} positive integers, rows first, got {size!r}")
    return each


def _whole(n: Any) -> Any:
    if isinstance(n, bool):
        raise TypeError("a truth value is no size")
    return n if isinstance(n, torch.SymInt) else operator.index(n)


def index_to_normalised(n: int, align_corners: bool) -> tuple[float, float]:
    """(scale, offset): normalised = scale · index + offset. An aligned axis of one pixel has one coordinate, 0."""
    if align_corners:
        return (2 / (n - 1), -1.0) if n > 1 else (0.0, 0.0)
    return 2 / n, 1 / n - 1


def to_pixels(x: Float[Tensor, "*S"], n: int, align_corners: bool) -> Float[Tensor, "*S"]:
    """Normalised → pixel coordinate on an axis of `n` pixels (index 0 is the first pixel's centre)."""
    # Written like this everywhere: another order of operations rounds differently, and the identity lies on joints.
    return (x + 1) * ((n - 1) / 2) if align_corners else ((x + 1) * n - 1) / 2
