"""What a backend gets: all about the sampling of an image but its pixels, as plain data, resolved once."""

import functools
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit import geometry, tracing
from warpkit.boundary import PADDING_MODES
from warpkit.errors import quoted
from warpkit.kernels.base import Kernel
from warpkit.kernels.fitting import Formula, weighing
from warpkit.kernels.table import Table
from warpkit.precision import working

KINDS = ("points", "shifts", "affine", "projective")
_WIDTH = 6  # numbers for each axis in `Problem.kernels`
# The tables of kernels without parameters in one row, by the tables' addresses, which are held.
_packed: dict[tuple[tuple[int, bool], ...], tuple[list[Table], Tensor, tuple[int, ...]]] = {}
_MOST_PACKED = 256


class Axis(NamedTuple):
    """One axis of the image: the pixels that are stored, what extends them, and what gives the taps' weights."""

    size: int
    padding: str
    kernel: Table | Formula


class Problem(NamedTuple):
    """Where an image is sampled, by which kernels, and what lies beyond its edge. `axes` and `pixels()` say it best.

    `where` is, by `kind`: "points" or "shifts" [B, *target, D], normalised (a shift is counted from where the output
    pixel lies itself), or the matrices of "affine" or "projective" maps [B, D + 1, D + 1] from output to image, in
    float64 where the device has it. B is the images' batch, or 1, or the images' is 1.

    Whatever has a gradient is a tensor of its own: `where`, `table` (all kernels' tables in one row) and `fill` (one
    number for each channel; none: zero). The rest is whole numbers and words, and says how these are read. `kernels`
    has pieces, taps, degree, unity, order and start of the table for each of x, y, z. `size` is that of what is stored
    and goes like its shape, as does `target`; `padding` goes x, y, z.

    What is stored need not be the image that −1 … 1 spans: that one has `extent` pixels an axis, and what is stored
    begins at its pixel `begin`, which is less than 0 where pixels beyond the edge are stored, too. Both go like `size`.
    Nor need `target` be the whole output: that has `whole` pixels an axis, and what is asked for begins at `origin`. So
    a part has the same coordinates, to the last bit, as in the whole.
    """

    where: Float[Tensor, "B *rest"]
    table: Float[Tensor, " K"]
    fill: Shaped[Tensor, " C"]
    kind: str
    kernels: tuple[int, ...]
    padding: tuple[str, ...]
    size: tuple[int, ...]
    target: tuple[int, ...]
    extent: tuple[int, ...]
    begin: tuple[int, ...]
    whole: tuple[int, ...]
    origin: tuple[int, ...]
    align_corners: bool
    stored: torch.dtype
    formulas: tuple[Formula, ...] = ()  # of x, y, z, where one of them has no table: the reference backend's work

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes x, y, z."""
        weigh: Sequence[Table | Formula] = self.formulas or [self._table(a) for a in range(len(self.size))]
        return tuple(map(Axis, self.size[::-1], self.padding, weigh))

    def _table(self, axis: int) -> Table:
        pieces, taps, degree, unity, order, start = self.kernels[_WIDTH * axis : _WIDTH * (axis + 1)]
        row = self.table[start : start + pieces * taps * (degree + 1)]
        return Table(row.reshape(pieces, taps, degree + 1), bool(unity), order)

    @property
    def most_taps(self) -> int:
        """The most taps along an axis."""
        return max(self.kernels[1::_WIDTH])

    @property
    def copies(self) -> bool:
        """Whether the kernels take one pixel as it is: no arithmetic, so that labels stay labels (eq. 4)."""
        return not self.formulas and all(
            self.kernels[k : k + 5] == (1, 1, 0, 1, 0) for k in range(0, len(self.kernels), _WIDTH)
        )

    @property
    def total(self) -> float:
        """What the weights of all taps sum to, as far as `fill` goes: 1, and 0 for a derivative."""
        return 0.0 if any(self.kernels[4::_WIDTH]) else 1.0

    @property
    def has_shared_where(self) -> bool:
        """Whether one set of points, or one matrix, serves every image."""
        return self.where.shape[0] == 1

    def rounding(self, n: int) -> float:
        """ε, in pixels, for an axis of `n`: a coordinate so little to the left of a joint counts as on its right side,
        wherever the sides differ (in a kernel that jumps, in derivatives), since its own rounding says nothing of it.
        """
        return geometry.rounding(working(self.where.dtype), n)

    def pixels(self) -> list[Float[Tensor, "B *target"]]:
        """The pixel coordinates x, y, z of every point; 0 is the centre of the image's first pixel, stored or not."""
        if self.kind == "points":
            each = zip(self.where.unbind(-1), reversed(self.extent), strict=True)
            return [geometry.to_pixels(x, n, self.align_corners) for x, n in each]
        part = geometry.Part(self.target, self.whole, self.origin)
        if self.kind == "shifts":
            return geometry.from_shifts(self.where, part, self.extent, self.align_corners)
        return geometry.from_matrix(self.where, self.kind == "affine", part, self.extent, self.align_corners)

    def derivative(self, axis: int) -> "Problem":
        """The same with the kernel of one axis (0 is x) differentiated: `pull` then is the slope along it."""
        slope = self._table(axis).derivative()
        kernels = list(self.kernels)
        kernels[_WIDTH * axis + 4 : _WIDTH * (axis + 1)] = [slope.order, self.table.numel()]
        table = torch.cat([self.table, slope.coefficients.flatten()])
        return self._replace(table=table, kernels=tuple(kernels))


def tables(kernels: Sequence[Kernel], dtype: torch.dtype) -> tuple[Tensor, tuple[int, ...], tuple[Formula, ...]]:
    """`table`, `kernels` and `formulas` of a `Problem` for values of this type."""
    each = {kernel: weighing(kernel, dtype) for kernel in dict.fromkeys(kernels)}
    weigh = [each[kernel] for kernel in kernels]
    if any(isinstance(w, Formula) for w in weigh):
        none = torch.zeros(0, dtype=torch.float64, device="cpu")
        return none, (0,) * (_WIDTH * len(kernels)), tuple(map(Formula, kernels))
    found: list[Table] = weigh  # type: ignore[assignment]
    if tracing.is_recording() or any(k._parameters or k._buffers or k._modules for k in each):  # made at each use
        return *_pack(found, [id(kernel) for kernel in kernels]), ()
    key = tuple((id(t.coefficients), t.unity) for t in found)
    if key not in _packed:
        if len(_packed) >= _MOST_PACKED:
            _packed.clear()
        with tracing.constants():
            _packed[key] = (found, *_pack(found, key))
    return *_packed[key][1:], ()


def _pack(each: Sequence[Table], names: Sequence[Hashable]) -> tuple[Tensor, tuple[int, ...]]:
    """In one row; equal names are the same table."""
    known: dict[Hashable, tuple[int, ...]] = {}
    rows: list[Tensor] = []
    start = 0
    for name, table in zip(names, each, strict=True):
        if name not in known:
            pieces, taps, width = table.coefficients.shape
            known[name] = (pieces, taps, width - 1, int(table.unity), table.order, start)
            rows.append(table.coefficients.flatten())
            start += pieces * taps * width
    return (rows[0] if len(rows) == 1 else torch.cat(rows)), tuple(n for name in names for n in known[name])


@functools.cache
def no_fill(device: torch.device) -> Tensor:
    """An empty `fill`, which puts zero outside."""
    with tracing.constants():
        return torch.zeros(0, dtype=torch.float64, device=device)


FLAT = 13  # arguments


def flat(problem: Problem) -> tuple[Any, ...]:
    """A problem without formulas in tensors, numbers and words, as operators of torch take them."""
    padding = [PADDING_MODES.index(mode) for mode in problem.padding]
    return (
        problem.where, problem.table, problem.fill, problem.kind, list(problem.kernels), padding, list(problem.size),
        list(problem.target), list(problem.extent), list(problem.begin), list(problem.whole), list(problem.origin),
        problem.align_corners,
    )  # fmt: skip


def from_flat(image: Tensor, flat: Sequence[Any]) -> Problem:
    """The way back, for an image or values of that type. Raises `ValueError` for what does not fit together."""
    where, table, fill, kind, kernels, padding, size, target, extent, begin, whole, origin, align_corners = flat
    if kind not in KINDS or not all(0 <= mode < len(PADDING_MODES) for mode in padding):
        raise ValueError(f"warpkit: unknown kind {quoted(kind)} or padding {padding}")
    modes = tuple(PADDING_MODES[mode] for mode in padding)
    # What would be read past its end, or take for ever, is refused for every backend.
    d = len(size)
    listed = kind in ("points", "shifts")
    fits = (
        1 <= d <= 3 and len(modes) == len(extent) == len(begin) == d and len(kernels) == 6 * d
        and len(target) == len(whole) == len(origin)
        and table.ndim == fill.ndim == 1 and image.ndim >= 2 and (kind == "points" or len(target) == d)
        and min((*size, *extent, 1)) > 0
        and where.shape[1:] == ((*target, d) if listed else (d + 1, d + 1))
        and all(k >= 0 for k in kernels) and min(*kernels[0::6], *kernels[1::6]) > 0
        and all(
            start + pieces * taps * (degree + 1) <= table.numel()
            for pieces, taps, degree, _, _, start in zip(*[iter(kernels)] * 6, strict=True)
        )
    )  # fmt: skip
    if not fits:
        raise ValueError("warpkit: sizes of image, coordinates, kernels, padding and table do not fit together")
    return Problem(
        where, table, fill, kind, tuple(kernels), modes, tuple(size), tuple(target), tuple(extent), tuple(begin),
        tuple(whole), tuple(origin), align_corners, image.dtype,
    )  # fmt: skip
