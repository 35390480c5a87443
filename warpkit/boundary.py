"""Padding extends the image: a rule maps the index of each tap to a pixel, so it means the same for every kernel.

In SciPy's words the modes are grid-constant, nearest, reflect (or mirror, with `align_corners`) and grid-wrap. Under
"none" the image is not extended: a coordinate beyond −1 … 1 gets `fill`, and taps of one inside stop at the edge. That
is SciPy's constant with `align_corners`, and what ITK calls inside of the buffer without.
"""

from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError, unknown
from warpkit.geometry import FLOATS

PaddingMode = Literal["zeros", "border", "reflection", "wrap", "none"]
PADDING_MODES: tuple[PaddingMode, ...] = get_args(PaddingMode)


def place(index: Int[Tensor, "*S"], n: int, mode: str, align_corners: bool) -> Int[Tensor, "*S"]:
    """The pixel that stands at any index of an axis of `n` pixels: 0 … n − 1.

    Under "zeros" the axis has one more pixel at either end: 1 … n, and 0 and n + 1 for the outside.
    """
    if mode == "zeros":
        return index.clamp(-1, n) + 1
    if mode in ("border", "none"):
        return index.clamp(0, n - 1)
    if mode == "wrap":
        return torch.remainder(index, n)
    if align_corners:  # mirrored about the centres 0 and n − 1, which are not repeated
        period = max(2 * n - 2, 1)
        index = torch.remainder(index, period)
        return torch.minimum(index, period - index)
    index = torch.remainder(index, 2 * n)  # mirrored about the edges −½ and n − ½
    return torch.minimum(index, 2 * n - 1 - index)


def is_beyond(x: Float[Tensor, "*S"], n: int, align_corners: bool, eps: float) -> Bool[Tensor, "*S"]:
    """Where a pixel coordinate lies beyond the image, as "none" sees it; one that is not finite does."""
    edge = (0.0 if align_corners else 0.5) + eps
    return ~((x >= -edge) & (x <= n - 1 + edge))


def for_each_axis(what: str, given: Any, dimensions: int) -> tuple[Any, ...]:
    """One thing for every axis, or one for each of x, y, z; `InputError` for another number of them."""
    if not isinstance(given, list | tuple):
        return (given,) * dimensions
    if len(given) != dimensions:
        raise InputError(what, expected=f"one, or {dimensions} in the order x, y, z", given=len(given))
    return tuple(given)


def check_padding(given: Any, dimensions: int) -> tuple[str, ...]:
    """The mode of each axis; `InputError` for one that does not exist."""
    modes = for_each_axis("padding_mode", given, dimensions)
    for mode in modes:
        if not isinstance(mode, str) or mode not in PADDING_MODES:
            raise unknown("padding_mode", mode, PADDING_MODES)
    return modes


def check_fill(given: Any, channels: int | None = None, image: Tensor | None = None) -> Tensor:
    """What "zeros" puts outside, as one number or one for each channel, [1] or [C].

    A number is finite, or NaN. In an image of integers each is held exactly, and has to fit. A tensor keeps its
    gradient; it lies where the image does, or on the CPU. Raises `InputError` for anything else.
    """
    dtype = torch.float64 if image is None else image.dtype
    if isinstance(given, Tensor) and (given.requires_grad or tracing.is_traced(given)):
        right = given.ndim <= 1 and given.layout == torch.strided and not given.is_nested
        right = right and given.dtype in (*FLOATS, dtype)
        if right and given.device.type != "cpu" and image is not None and given.device != image.device:
            raise InputError("fill", expected=f"the device of image, {image.device}", given=given.device)
        found: Tensor | None = given.reshape(-1) if right else None
    else:
        found = _numbers(given, dtype)
    if found is None or found.numel() == 0 or (channels is not None and found.numel() not in (1, channels)):
        each = "each channel" if channels is None else f"each of {channels} channels"
        whole = not (dtype.is_floating_point or dtype.is_complex)
        kind = f"a number that {dtype} holds" if whole else "a finite number or NaN"
        raise InputError("fill", expected=f"{kind}, or one for {each}", given=given)
    return found


def _numbers(given: Any, dtype: torch.dtype) -> Tensor | None:
    """As [K], in float64, in an integer image's own type or in complex128; None where they do not fit there."""
    try:
        if getattr(given, "ndim", 0) > 1:
            return None
        values = given.tolist() if isinstance(given, Tensor | np.ndarray | np.generic) else given
    except Exception:  # sparse, nested and quantized tensors
        return None
    values = list(values) if isinstance(values, list | tuple) else [values]
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    if not all(isinstance(v, bool | int | float | complex) for v in values):
        return None
    most = torch.finfo(dtype).max if dtype.is_floating_point or dtype.is_complex else 0.0
    if dtype.is_complex:
        fits = all(abs(v) <= most or v != v for v in values)
        return torch.tensor(values, dtype=torch.complex128, device="cpu") if fits else None
    if any(isinstance(v, complex) for v in values):
        return None
    if dtype.is_floating_point:
        fits = all(-most <= v <= most or v != v for v in values)
        return torch.tensor(values, dtype=torch.float64, device="cpu") if fits else None
    low, high = (0, 1) if dtype == torch.bool else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    if not all(low <= v <= high and int(v) == v for v in values):  # a NaN is not
        return None
    return torch.tensor([int(v) for v in values], dtype=dtype, device="cpu")
