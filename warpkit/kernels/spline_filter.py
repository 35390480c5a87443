"""From an image to the coefficients of a kernel that does not interpolate by itself, so that it does.

A spline Σ c[m] k(x − m) passes through the pixels where c, convolved with the kernel's values at whole numbers, is the
image. The inverse of that convolution is a product of recursions, one there and one back for each pole z of the kernel.
The image is extended by the boundary's rule first, so it means the same here as for every other kernel: what lies
beyond the edge is filtered, too. Under "reflection" and "wrap" the coefficients obey the rule themselves. Else they do
not (beyond an edge with copies of the last pixel they ripple), and those next to the edge are given as well.

M. Unser, A. Aldroubi, M. Eden, "B-spline signal processing: part II", IEEE Trans. Signal Processing 41(2), 1993.
"""

import functools
import importlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from warpkit import tracing
from warpkit.boundary import PADDING_MODES, place
from warpkit.errors import InputError, require, unknown

_BLOCK = 64  # pixels of a line that are filtered by one product of matrices


def spline_filter(
    image: Tensor, axis: int, samples: Sequence[float], padding_mode: str, align_corners: bool = False
) -> Tensor:
    """The coefficients along one axis of an image, for a symmetric kernel with these values at 0, 1, 2 …

    What a kernel's `prefilter` may return: `spline_filter(image, axis, [2 / 3, 1 / 6], padding_mode, align_corners)`
    is that of the cubic B-spline.

    Args:
        image: float32, float64 or complex, of any shape; an axis of `n` pixels is filtered.
        axis: which one, as in `torch.sum`.
        samples: the kernel's values; their sum over all whole numbers is not zero at any frequency.
        padding_mode: what extends the axis, one word; "none" mirrors it about the centres of its outer pixels.
        align_corners: what "reflection" is about.

    Returns:
        The coefficients, n of them under "reflection" and "wrap". Else n + 2m: those of the m pixels beyond either
        edge, too, as far as they differ from those of the extension by more than rounding. It is linear in the image,
        and differentiable any number of times.

    Raises:
        InputError: for what is no such image, axis or word, and where no such coefficients exist.

    >>> spline_filter(torch.tensor([0.0, 0, 1, 0, 0]), 0, [2 / 3, 1 / 6], "wrap").round(decimals=4).tolist()
    [0.122, -0.4878, 1.8293, -0.4878, 0.122]
    """
    _check(image, axis, samples, padding_mode)
    if image.is_complex():
        return torch.view_as_complex(
            spline_filter(torch.view_as_real(image), axis % image.ndim, samples, padding_mode, align_corners)
        )
    n = image.shape[axis]
    inverse = _inverse(tuple(samples), image.dtype)
    return _apply(image, axis, inverse, _line(n, inverse.reach, padding_mode, align_corners, image.device))


def _apply(image: Tensor, axis: int, inverse: "_Inverse", line: "_Line") -> Tensor:
    """The coefficients along one axis, whose pixels the line names."""
    axis %= image.ndim
    before, n, behind = image.shape[:axis], image.shape[axis], image.shape[axis + 1 :]
    lines = image.reshape(math.prod(before), n, math.prod(behind))
    opaque = tracing.is_watched() or tracing.function_transforms_active()
    if opaque or image.device.type != "cpu" or image.numel() == 0 or _native() is None:
        found = _filtered(lines, inverse, line)
    else:
        found = _Recursion.apply(lines, inverse, line, n, False)  # type: ignore[no-untyped-call]
    coefficients: Tensor = found.reshape(*before, line.length, *behind)
    return coefficients


def _check(image: Any, axis: Any, samples: Any, padding_mode: Any) -> None:
    types = (torch.float32, torch.float64, torch.complex64, torch.complex128)
    right = isinstance(image, Tensor) and image.dtype in types and image.ndim > 0
    require(right, "image", expected="a tensor of float32, float64 or complex", given=image)
    right = type(axis) is int and -image.ndim <= axis < image.ndim
    require(right, "axis", expected=f"an axis of {image.ndim}", given=axis)
    require(image.shape[axis] > 0, "image", expected="a pixel at least", given=list(image.shape))
    right = isinstance(samples, Sequence) and len(samples) > 0
    right = right and all(isinstance(k, float | int) and abs(k) < 1e30 for k in samples)
    require(right, "samples", expected="numbers, the kernel at 0, 1, 2 …", given=samples)
    if padding_mode not in PADDING_MODES:
        raise unknown("padding_mode", padding_mode, PADDING_MODES)


class _Inverse(NamedTuple):
    """A convolution that undoes the kernel's: gain · Π 1 / ((1 − z q⁻¹)(1 − z q)) over its poles z, q a shift."""

    poles: tuple[float, ...]  # inside the unit circle
    gain: float
    reach: int  # pixels, after which nothing is left but rounding
    response: tuple[float, ...]  # the same as a finite sum, from −reach to reach


@tracing.constant
def _inverse(samples: tuple[float, ...], dtype: torch.dtype) -> _Inverse:
    return _solved(samples, dtype)


@functools.lru_cache(maxsize=64)
def _solved(samples: tuple[float, ...], dtype: torch.dtype) -> _Inverse:
    whole = np.array([*samples[:0:-1], *samples], dtype=np.float64)
    if whole[0] == 0 or whole.sum() == 0:
        raise InputError("samples", expected="a last one, and a sum, that are not zero", given=list(samples))
    roots = np.roots(whole)
    poles = np.sort(roots.real[np.abs(roots) < 1])
    if 2 * len(poles) != len(whole) - 1 or np.abs(roots.imag).max(initial=0.0) > 1e-9:
        raise InputError("samples", expected="those of a kernel whose inverse has real poles", given=list(samples))
    for _ in range(2):  # Newton's steps, to the last bit
        poles = poles - np.polyval(whole, poles) / np.polyval(np.polyder(whole), poles)
    rounding = torch.finfo(dtype).eps / 4
    reach = math.ceil(math.log(rounding) / math.log(max(0.05, np.abs(poles).max(initial=0.0))))
    # From the Fourier transform of a line so long that its ends do not meet.
    line = np.zeros(1 << (16 * reach).bit_length())
    line[np.arange(len(whole)) - len(samples) + 1] = whole
    response = np.roll(np.fft.ifft(1 / np.fft.fft(line)).real, reach)[: 2 * reach + 1]
    gain = np.prod((1 - poles) ** 2) / whole.sum()  # so that a constant is divided by the kernel's sum
    return _Inverse(tuple(poles.tolist()), float(gain), reach, tuple(response.tolist()))


class _Line(NamedTuple):
    """What a line is before it is filtered: the pixel that stands at each place, −1 for a zero."""

    source: Tensor  # [first + length + as many again, or so]
    first: int  # the place of the first coefficient
    length: int  # of the coefficients


def _line(n: int, reach: int, mode: str, align_corners: bool, device: torch.device) -> _Line:
    margin = 0 if mode in ("reflection", "wrap") else reach
    index = torch.arange(-margin - reach, n + margin + reach, device=device)
    return _Line(_source(index, n, mode, align_corners), reach, n + 2 * margin)


def _source(index: Tensor, n: int, mode: str, align_corners: bool) -> Tensor:
    if mode == "zeros":
        return torch.where((index >= 0) & (index < n), index, -1)
    return place(index, n, "reflection" if mode == "none" else mode, align_corners or mode == "none")


class LinePart(NamedTuple):
    """A part of a line's coefficients, and the pixels that it depends on."""

    inverse: _Inverse
    line: _Line

    @property
    def pixels(self) -> Tensor:
        """The indices of these pixels, each once, in ascending order."""
        source = self.line.source[self.line.source >= 0]
        found: Tensor = torch.unique(source) if len(source) else self.line.source.new_zeros(1)
        return found

    def filtered(self, pixels: Tensor, axis: int) -> Tensor:
        """The part's coefficients along an axis that has these pixels, and no others."""
        source = torch.where(self.line.source < 0, -1, torch.searchsorted(self.pixels, self.line.source))
        line, real = self.line._replace(source=source), pixels
        if pixels.is_complex():
            real, axis = torch.view_as_real(pixels), axis % pixels.ndim
        found = _apply(real, axis, self.inverse, line)
        return torch.view_as_complex(found) if pixels.is_complex() else found


def margin_of(samples: Sequence[float], dtype: torch.dtype, padding_mode: str) -> int:
    """How many coefficients beyond either edge `spline_filter` gives."""
    return 0 if padding_mode in ("reflection", "wrap") else _inverse(tuple(samples), dtype).reach


def line_part(
    n: int, samples: Sequence[float], dtype: torch.dtype, padding_mode: str, align_corners: bool, start: int, stop: int
) -> LinePart:
    """The coefficients start … stop of a line of `n` pixels, counted from the first pixel's own, as `spline_filter` has
    them.

    Each depends on the whole line, but forgets what is far away. A recursion that begins elsewhere differs by less from
    step to step, and once it has the same bits it keeps them; so with enough pixels on either side the part has the
    bits of the whole. (The smaller the pole, the more likely a step brings them; there are so many steps that all else
    is less likely than 1e-15.) Where no C++ is, the pixels are those of the finite sum, and it is equal to rounding.
    """
    inverse = _inverse(tuple(samples), dtype)
    margin = margin_of(samples, dtype, padding_mode)
    more = inverse.reach
    if _native() is not None:
        largest = max(0.05, max(map(abs, inverse.poles), default=0.0))
        more += math.ceil(2 * math.log(2.0**-56) / math.log(largest))
    # Nothing is left out at the line's own ends, so that it begins where the whole does.
    low, high = max(start - more, -margin - inverse.reach), min(stop + more, n + margin + inverse.reach)
    source = _source(torch.arange(low, high), n, padding_mode, align_corners)
    return LinePart(inverse, _Line(source, start - low, stop - start))


def _convolved(lines: Tensor, inverse: _Inverse) -> Tensor:
    """The finite sum along the middle axis, wherever the line has a pixel for all of it; in plain PyTorch."""
    width, length = len(inverse.response), lines.shape[1] - 2 * inverse.reach
    count = -(-length // _BLOCK)
    padded = torch.nn.functional.pad(lines.mT, (0, count * _BLOCK - length))
    blocks = padded.unfold(-1, _BLOCK + width - 1, _BLOCK)  # a product with one matrix filters each
    response = torch.tensor(inverse.response, dtype=lines.dtype, device=lines.device)
    matrix = torch.stack([torch.nn.functional.pad(response, (k, _BLOCK - 1 - k)) for k in range(_BLOCK)], dim=1)
    return (blocks @ matrix).reshape(*lines.mT.shape[:2], count * _BLOCK)[..., :length].mT


def _filtered(image: Tensor, inverse: _Inverse, line: _Line) -> Tensor:
    outside = line.source < 0
    extended = image.index_select(1, line.source.clamp(min=0))
    return _convolved(torch.where(outside[:, None], 0.0, extended), inverse)


def _adjoint(grad: Tensor, inverse: _Inverse, line: _Line, n: int) -> Tensor:
    beyond = (0, 0, 2 * inverse.reach, 2 * inverse.reach)
    spread = _convolved(torch.nn.functional.pad(grad, beyond), inverse)
    spread = torch.where((line.source < 0)[:, None], 0.0, spread)
    blank = grad.new_zeros(grad.shape[0], n, grad.shape[2])
    return blank.index_add(1, line.source.clamp(min=0), spread)


class _Recursion(torch.autograd.Function):
    """`_filtered` in C++, or `_adjoint`, which are each other's derivative."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, inverse: _Inverse, line: _Line, n: int, adjoint: bool) -> Tensor:
        ctx.given = inverse, line, n, adjoint
        with tracing.below_autograd():
            image = image.resolve_neg().contiguous()
            found = image.new_zeros(image.shape[0], n if adjoint else line.length, image.shape[2])
            sizes = (image.shape[0], n, image.shape[2], len(line.source), line.first, line.length)
            _native().filter(
                image.data_ptr(), found.data_ptr(), sizes, line.source.data_ptr(), inverse.poles, inverse.gain,
                image.dtype == torch.float64, adjoint,
            )  # fmt: skip
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        inverse, line, n, adjoint = ctx.given
        if tracing.is_batched(grads[0]) or tracing.function_transforms_active():
            found = _filtered(grads[0], inverse, line) if adjoint else _adjoint(grads[0], inverse, line, n)
        else:
            found = _Recursion.apply(grads[0], inverse, line, n, not adjoint)  # type: ignore[no-untyped-call]
        return found, None, None, None, None


@functools.cache
def _native() -> Any:
    """The extension, None where it is not built."""
    try:
        native = importlib.import_module("warpkit.sampling._native")
    except ImportError:
        return None
    return native if hasattr(native, "filter") else None
