"""In which floating-point type numbers are computed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def working(*dtypes: torch.dtype) -> torch.dtype:
    """The widest of these floating-point types, float32 at least."""
    widest = torch.float32
    for dtype in dtypes:
        widest = torch.promote_types(widest, dtype)
    return widest


def wide(device: torch.device | str) -> torch.dtype:
    """float64, or float32 on a device that has none."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


class KeepsPrecision(nn.Module):
    """A module whose own buffers follow `.to()` to a device but never to a narrower type.

    A spline solved in float64, or where a transformer starts, would lose digits for good under `.half()`.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        kept = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        for name in kept:
            self._buffers[name] = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            device = fn(buffer.new_empty(0, dtype=torch.float32)).device
            self._buffers[name] = buffer.to(device, wide(device))
        return self
