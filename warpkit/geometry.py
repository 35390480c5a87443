"""All formulas of coordinates: lattices; index, pixel and normalised coordinates; perspective; ε and limits.

−1 and 1 are the outer edges of an axis's border pixels or, with `align_corners`, their centres. These are the only
formulas of this kind in Python; csrc/taps.h has the same.
"""

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit import tracing
from warpkit.errors import InputError
from warpkit.precision import default, wide
from warpkit.quoting import Told

Units = Literal["normalized", "pixels"]
UNITS: tuple[Units, ...] = get_args(Units)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TOO_MANY = 2**40  # pixels: a terabyte of bytes
_FAR = 2.0**60  # in normalised coordinates: beyond, the padding gives what it gives here


def lattice(
    size: int | Sequence[int],
    *,
    align_corners: bool = False,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "*size D"]:
    """The normalised coordinates of the pixels of an image of this size.

    `size` goes like an array's shape (rows first): (W,), (H, W) or (D, H, W). The result, `[*size, D]`, has x, y, z in
    its last axis and no batch: write `lattice(size)[None]` where one is expected. `dtype` is torch's default type, but
    float32 at least, unless given. Raises `InputError` for a size that
    is not one to three positive integers.

    >>> lattice((1, 2)).tolist()
    [[[-0.5, 0.0], [0.5, 0.0]]]
    """
    size = check_size(size)
    if dtype is not None and (not isinstance(dtype, torch.dtype) or dtype not in FLOATS):
        raise InputError("dtype", expected="float16, bfloat16, float32 or float64", given=dtype)
    if not isinstance(align_corners, bool):
        raise InputError("align_corners", expected="True or False", given=align_corners)
    try:
        device = torch.device(device) if device is not None else torch.get_default_device()
    except (RuntimeError, TypeError) as error:
        raise InputError("device", expected="a device or the name of one", given=device) from error
    axes = [_axis(n, align_corners, device).to(dtype or default()) for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)


def _axis(
    n: int, align_corners: bool, device: torch.device, part: tuple[int, int] | None = None
) -> Float[Tensor, " m"]:
    scale, _ = index_to_normalised(n, align_corners)
    index = torch.arange(*(part or (0, n)), dtype=wide(device), device=device)
    # 2i + 1 − n is exact, so the axis is symmetric and its middle is 0 to the last bit.
    return (2 * index + (1 - n)) * (scale / 2)


def check_size(size: Any, ndim: int | None = None) -> tuple[int, ...]:
    """The size as a tuple: `ndim` positive integers (one number counts for every axis), or one to three of them.

    Raises `InputError` for anything else, and for more pixels than any memory holds.
    """
    each: tuple[Any, ...]
    try:
        single = isinstance(size, torch.SymInt) or (hasattr(size, "__index__") and getattr(size, "ndim", 0) == 0)
        each = tuple(map(_whole, (size,) * (ndim or 1) if single else size))
    except Exception:  # whatever a stranger's object does, and a tensor without numbers
        each = ()
    right = len(each) == ndim if ndim else 1 <= len(each) <= 3
    right = right and all(n > 0 for n in each) and not isinstance(size, str | bytes)
    if not right:
        raise InputError("size", expected=f"{ndim or 'one to three'} positive integers, rows first", given=size)
    if not any(isinstance(n, torch.SymInt) for n in each) and math.prod(each) >= _TOO_MANY:
        raise InputError("size", expected="fewer than 2 ** 40 pixels", given=size)
    return each


def _whole(n: Any) -> Any:
    if isinstance(n, bool):
        raise TypeError("a truth value is no size")
    return n if type(n) is int or isinstance(n, torch.SymInt) else operator.index(n)  # no `index`: it fixes a size


def check_coordinates(what: str, coords: Any, ndim: int) -> None:
    """Raise `InputError` unless coords is a dense floating-point tensor [N, *T, ndim]."""
    check_floats(what, coords)
    if coords.ndim < 2 or coords.shape[-1] != ndim:
        shape = list(coords.shape)
        hint = f"{what} has no batch axis: {what}[None] is {[1, *shape]}" if shape == [ndim] else ""
        raise InputError(what, expected=f"[N, *T, {ndim}] in {ndim} dimensions", given=shape, hint=hint)


def check_floats(what: str, given: Any) -> None:
    """Raise `InputError` unless this is a dense tensor of float16, bfloat16, float32 or float64."""
    if not isinstance(given, Tensor) or given.dtype not in FLOATS:
        found = given.dtype if isinstance(given, Tensor) else given
        raise InputError(what, expected="a floating-point tensor", given=found)
    if not is_dense(given):
        raise InputError(
            what, expected="a dense tensor", given=Told("a nested one" if given.is_nested else "a sparse one")
        )


def is_dense(given: Tensor) -> bool:
    """Whether the tensor is strided: neither sparse nor nested."""
    return given.layout == torch.strided and not given.is_nested


def common_batch(what: str, a: Tensor, other: str, b: Tensor) -> int:
    """The common batch of two tensors, one of which may have 1; `InputError` for other sizes or two devices."""
    n, m = a.shape[0], b.shape[0]
    if n != m and n != 1 and m != 1:
        hint = f"If {other} has no batch axis, {other}[None] gives it one" if other in ("coords", "points") else ""
        raise InputError(f"batch of {what}", expected=f"that of {other}, {m}, or 1 in one of them", given=n, hint=hint)
    if a.device != b.device:
        raise InputError(what, expected=f"the device of {other}, {b.device}", given=a.device)
    return m if n == 1 else n


def index_to_normalised(n: int, align_corners: bool) -> tuple[float, float]:
    """The pair (scale, offset) of normalised = scale · index + offset; on an aligned axis of one pixel always 0."""
    if align_corners:
        return (2 / (n - 1), -1.0) if n > 1 else (0.0, 0.0)
    return 2 / n, 1 / n - 1


def half_extent(n: int, align_corners: bool) -> float:
    """The number of pixels from 0 to 1 in normalised coordinates, on an axis of `n` pixels."""
    return (n - 1) / 2 if align_corners else n / 2


def ratio(n: int, out: int, align_corners: bool) -> float:
    """Pixels of the image for one pixel of the output, where both span −1 … 1: exactly 1 for equal sizes."""
    if align_corners:
        return (n - 1) / (out - 1) if out > 1 else 0.0
    return n / out


def to_pixels(x: Float[Tensor, "*S"], n: int, align_corners: bool) -> Float[Tensor, "*S"]:
    """The pixel coordinates of normalised ones on an axis of `n` pixels; 0 is the first pixel's centre.

    A finite coordinate has a finite one, however large it is.
    """
    x = torch.where(x.isfinite(), x.clamp(-_FAR, _FAR), x)
    # Written like this everywhere: another order of operations rounds differently, and the identity lies on joints.
    return (x + 1) * ((n - 1) / 2) if align_corners else ((x + 1) * n - 1) / 2


def to_normalised(pixel: Float[Tensor, "*S"], n: int, align_corners: bool) -> Float[Tensor, "*S"]:
    """Pixel → normalised coordinate on an axis of `n` pixels; an aligned axis of one pixel has one coordinate, 0."""
    scale, _ = index_to_normalised(n, align_corners)
    return (2 * pixel + (1 - n)) * (scale / 2)


class Part(NamedTuple):
    """A part of an output, rows first: its own size, the whole's, which −1 … 1 spans, and where the part begins."""

    size: tuple[int, ...]
    whole: tuple[int, ...]
    origin: tuple[int, ...]

    @staticmethod
    def all_of(size: Sequence[int]) -> "Part":
        """The part that is the whole lattice of this size."""
        return Part(tuple(size), tuple(size), (0,) * len(size))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where the part stands in an array of the whole."""
        return tuple(slice(first, first + n) for first, n in zip(self.origin, self.size, strict=True))

    def within(self, box: "Part") -> tuple[slice, ...]:
        """What the part has of a box of the same whole, as the box counts."""
        each = zip(self.origin, self.size, box.origin, box.size, strict=True)
        return tuple(slice(max(first - at, 0), min(first - at + n, count)) for first, n, at, count in each)

    def lattice(self, align_corners: bool, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "*size D"]:
        """The whole's `lattice` there, to the last bit."""
        each = zip(self.size, self.whole, self.origin, strict=True)
        axes = [_axis(n, align_corners, device, (first, first + count)).to(dtype) for count, n, first in each]
        return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)


def joined(parts: list[Tensor], counts: Sequence[int]) -> Tensor:
    """Boxes `[N, C, *S]` that stand beside each other, as many along each axis, the last one first: as one."""
    for axis in reversed(range(len(counts))):
        count = counts[axis]
        if count > 1:
            parts = [torch.cat(parts[k : k + count], dim=2 + axis) for k in range(0, len(parts), count)]
    return parts[0]


def from_shifts(
    shifts: Float[Tensor, "B *S D"], part: Part, size: tuple[int, ...], align_corners: bool
) -> list[Float[Tensor, "B *S"]]:
    """Pixel coordinates x, y, z of an output whose pixels are each sampled a normalised shift from their own place.

    Where the output pixel lies itself is exact, so a shift of zero is the identity, bit for bit.
    """
    exact = wide(shifts.device)
    pixels = []
    each = zip(size[::-1], part.size[::-1], part.whole[::-1], part.origin[::-1], shifts.unbind(-1), strict=True)
    for axis, (n, count, out, first, shift) in enumerate(each):
        at = torch.arange(first, first + count, dtype=exact, device=shifts.device).reshape([-1] + [1] * axis)
        start = ratio(n, out, align_corners) * (at - (out - 1) / 2) + (n - 1) / 2
        pixels.append(start + half_extent(n, align_corners) * shift.to(exact))
    return pixels


def from_matrix(
    matrix: Float[Tensor, "B E E"],
    is_affine: bool,
    part: Part,
    size: tuple[int, ...],
    align_corners: bool,
) -> list[Float[Tensor, "B *out_size"]]:
    """Pixel coordinates x, y, z of every pixel of a part of an output (eq. 1); NaN on and behind a horizon.

    Both sides are counted from the middle, so that an identity is one to the last bit.
    """
    d = len(size)
    each = zip(part.size[::-1], part.whole[::-1], part.origin[::-1], strict=True)
    along = [
        (torch.arange(first, first + count, dtype=matrix.dtype, device=matrix.device) - (n - 1) / 2).reshape(
            [-1] + [1] * axis
        )
        for axis, (count, n, first) in enumerate(each)
    ]
    pixels = []
    for e, n in enumerate(reversed(size)):
        steps = [ratio(n, out, align_corners) for out in reversed(part.whole)]
        pixels.append(_at_every_index(matrix[:, e], [*steps, half_extent(n, align_corners)], along))
    if not is_affine:
        steps = [index_to_normalised(out, align_corners)[0] for out in reversed(part.whole)]
        pixels = perspective(pixels, _at_every_index(matrix[:, d], [*steps, 1.0], along))
    return [(x + (n - 1) / 2).expand(-1, *part.size) for x, n in zip(pixels, reversed(size), strict=True)]


def _at_every_index(row: Float[Tensor, "B E"], scales: list[float], along: list[Tensor]) -> Float[Tensor, "B *size"]:
    """The scalar product of a matrix row with every output index; `along` holds the indices of each axis."""
    each = (m.reshape(-1, *[1] * len(along)) * scale for m, scale in zip(row.unbind(-1), scales, strict=True))
    *slopes, start = each
    return functools.reduce(torch.add, (slope * index for slope, index in zip(slopes, along, strict=True)), start)


def perspective(numerators: list[Float[Tensor, "*S"]], w: Float[Tensor, "*S"]) -> list[Float[Tensor, "*S"]]:
    """numerator / w before the horizon, NaN on and behind it, with a zero gradient there."""
    # 1e-12: what lies nearer is beyond every coordinate limit, and w² in the gradient does not underflow.
    before = functools.reduce(torch.logical_and, map(torch.isfinite, numerators), w > 1e-12)
    safe = torch.where(before, w, 1.0)  # selected before the division: 1/0 would make NaN in the gradient
    return [torch.where(before, torch.where(before, x, 0.0) / safe, torch.nan) for x in numerators]


def rounding(dtype: torch.dtype, n: int) -> float:
    """The ε in pixels: a place less than that left of a joint, on an axis of `n` pixels, counts as on the joint.

    It forgives the rounding of coordinates that were computed in `dtype`.
    """
    # x + 1 is rounded by up to eps, which is n / 2 · eps pixels; four times that, for the sums and products before it.
    return 2 * torch.finfo(dtype).eps * n


def limit(n: int) -> float:
    """The largest pixel coordinate that is told from others: there every index is outside, and none overflows."""
    # Beyond 2⁵² a float64 has no fraction left. A symbolic size counts as small: a comparison would fix it.
    return 2.0**30 if isinstance(n, torch.SymInt) or n < 2**29 else 2.0**52


def limited(x: Float[Tensor, "*S"], most: float) -> Float[Tensor, "*S"]:
    """The coordinates within ±most; those that are not finite go far outside."""
    if x.device.type == "cpu" and x.numel() > 0 and not tracing.is_traced(x):
        low, high = x.detach().aminmax()
        if low >= -most and high <= most:  # nearly always, and not so with a NaN: two passes fewer
            return x
    # A NaN becomes a number too: cast to an integer it could be any index. Its output is `fill` later.
    return x.nan_to_num(-most, most, -most).clamp(-most, most)
