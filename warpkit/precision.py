"""The floating-point types in which numbers are computed and kept."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from warpkit import tracing


def working(*dtypes: torch.dtype) -> torch.dtype:
    """The widest of these floating-point types, and float32 at least."""
    widest = torch.float32
    for dtype in dtypes:
        widest = torch.promote_types(widest, dtype)
    return widest


def arithmetic(stored: torch.dtype, device: torch.device | str) -> torch.dtype:
    """The floating-point type that pixels of this type are summed in: float64 for what float32 cannot hold."""
    if stored.is_complex:
        return torch.float64 if stored == torch.complex128 else torch.float32
    if stored.is_floating_point:
        return working(stored)
    return wide(device) if stored.itemsize >= 4 else torch.float32


def wide(device: torch.device | str) -> torch.dtype:
    """The widest type of this device: float64, or float32 where there is none."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def default() -> torch.dtype:
    """torch's default type, and float32 at least: a narrower one is not meant for coordinates."""
    return working(torch.get_default_dtype())


def saturated(values: Tensor, dtype: torch.dtype) -> Tensor:
    """To the image's type: integers are rounded, and stop at the type's limits."""
    if dtype.is_floating_point or dtype.is_complex or values.dtype == dtype:
        return values.to(dtype)
    values = values.detach().round()
    if dtype == torch.bool:
        return values >= 1
    info = torch.iinfo(dtype)
    # Selected, not clamped: as a float the largest int64 is one too many, and would wrap.
    above, below = values >= float(info.max), values <= float(info.min)
    low, high = (torch.full((), limit, dtype=dtype, device=values.device) for limit in (info.min, info.max))
    whole = torch.where(above | below | values.isnan(), 0.0, values).to(dtype)
    return torch.where(above, high, torch.where(below, low, whole))


class KeepsPrecision(nn.Module):
    """A module whose own buffers are constants: they follow `.to()` to a device, but never to a narrower type.

    A spline solved in float64, or where a transformer starts, would lose digits for good under `.half()`. Nor are they
    ever on `meta`, where their numbers would be lost: `to_empty`, or loading by `assign`, brings no new ones.
    """

    def keep(self, name: str, value: Tensor | None) -> None:
        """Register a constant buffer on the default device."""
        placed = None if value is None else _placed(tracing.taken_in(value), torch.get_default_device())
        self.register_buffer(name, placed, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        kept = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        for name in kept:
            self._buffers[name] = None
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, buffer in kept.items():
            self._buffers[name] = _placed(buffer, fn(buffer.new_empty(0, dtype=torch.float32)).device)
        return self


def _placed(buffer: Tensor, device: torch.device) -> Tensor:
    return buffer if device.type == "meta" else buffer.to(device, wide(device))
