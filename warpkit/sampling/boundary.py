"""Padding extends the image: a rule maps the index of each tap to a pixel, so it means the same for every kernel.

In SciPy's words the modes are grid-constant, nearest, reflect (or mirror, with `align_corners`) and grid-wrap.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError, unknown

PADDING_MODES = ("zeros", "border", "reflection", "wrap")


def place(index: Int[Tensor, "*S"], n: int, mode: str, align_corners: bool) -> Int[Tensor, "*S"]:
    """The pixel that stands at any index of an axis of `n` pixels: 0 … n − 1.

    Under "zeros" the axis has one more pixel at either end: 1 … n, and 0 and n + 1 for the outside.
    """
    if mode == "zeros":
        return index.clamp(-1, n) + 1
    if mode == "border":
        return index.clamp(0, n - 1)
    if mode == "wrap":
        return torch.remainder(index, n)
    if align_corners:  # mirrored about the centres 0 and n − 1, which are not repeated
        period = max(2 * n - 2, 1)
        index = torch.remainder(index, period)
        return torch.minimum(index, period - index)
    index = torch.remainder(index, 2 * n)  # mirrored about the edges −½ and n − ½
    return torch.minimum(index, 2 * n - 1 - index)


def for_each_axis(what: str, given: Any, dimensions: int) -> tuple[Any, ...]:
    """One thing for every axis, or one for each of x, y, z; `InputError` for another number of them."""
    if not isinstance(given, list | tuple):
        return (given,) * dimensions
    if len(given) != dimensions:
        raise InputError(f"{what}: expected one, or {dimensions} in the order x, y, z, got {len(given)}")
    return tuple(given)


def check_padding(given: Any, dimensions: int) -> tuple[str, ...]:
    """The mode of each axis; `InputError` for one that does not exist."""
    modes = for_each_axis("padding_mode", given, dimensions)
    for mode in modes:
        if mode not in PADDING_MODES:
            raise unknown("padding_mode", mode, PADDING_MODES)
    return modes


def check_fill(given: Any, channels: int | None = None) -> float | Tensor:
    """A finite number, or a tensor of one for each channel (of any number of channels where `channels` is None)."""
    if isinstance(given, np.ndarray):
        given = torch.from_numpy(given)
    if isinstance(given, int | float | np.number):
        right = -1e308 < given < 1e308  # and so a float
    elif isinstance(given, Tensor):
        right = given.ndim <= 1 and given.numel() > 0 and (channels is None or given.numel() in (1, channels))
        right = right and (tracing.is_traced(given) or bool(given.isfinite().all()))
    elif isinstance(given, list | tuple) and all(isinstance(c, int | float | np.number) for c in given):
        return check_fill(torch.tensor(given, dtype=torch.float64), channels)
    else:
        right = False
    if not right:
        each = "each channel" if channels is None else f"each of {channels} channels"
        raise InputError(f"fill: expected a finite number, or one for {each}, got {given!r}")
    return given.reshape(-1) if isinstance(given, Tensor) else float(given)
