"""The native backend: pull, push and all first derivatives in C++, for one processor's cores (`csrc/`).

It reads the kernels' tables, so every kernel that has one runs at the speed of the built-in ones. A matrix goes from θ
to pixels with no grid in between.
"""

import importlib
import math
import warnings
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit.boundary import PADDING_MODES
from warpkit.sampling.backend import MOST_TAPS, SUMMED, Backend, Plan, not_in_place
from warpkit.sampling.operators import layout
from warpkit.sampling.problem import KINDS, Problem

_C: Any = torch._C
_CPU = torch.device("cpu")
_PLAN = 20  # arguments of C++'s `plan`
_STORED = {dtype: i for i, dtype in enumerate(SUMMED)}  # as C++ numbers them


def _load() -> tuple[Any, str | None]:
    """The extension, and what is wrong with it, if anything is."""
    try:
        native = importlib.import_module("warpkit.sampling._native")
    except ImportError as error:
        return None, f"is not built ({error}): where a C++ compiler is, install warpkit from its clone again"
    words = [
        f"taps:{MOST_TAPS}",
        f"plan:{_PLAN}",
        *(f"{w}:{i}" for each in (PADDING_MODES, KINDS) for i, w in enumerate(each)),
    ]
    words += [f"{str(dtype).removeprefix('torch.')}:{i}" for dtype, i in _STORED.items()]
    known = getattr(native, "constants", str)() == " ".join(words)
    return native, None if known else "is of another version: install warpkit from its clone again"


_native, _missing = _load()


class Native(Backend):
    """C++ on the CPU, for any kernel with a table of up to 16 taps, on images as they are stored.

    Floating-point numbers and integers of up to 32 bits are summed; of any type whatever are those that are copied.
    """

    priority = 10
    reads_halves = True

    def __init__(self) -> None:
        if _missing is not None:
            warnings.warn(
                f"warpkit's native backend {_missing}. Until then the slower reference backend serves.", stacklevel=2
            )

    def refuses(self, problem: Problem) -> str | None:
        """Why this is the reference's work: another device or type, or too many taps."""
        if _missing is not None:
            return _missing
        if problem.where.device.type != "cpu":
            return f"samples on the CPU, the image is on {problem.where.device}"
        return not_in_place(problem)

    def describe(self) -> str:
        """The instruction set in use."""
        return str(_native.level()) if _missing is None else ""

    def plan(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> "NativePlan":
        """The problem as C++ holds it. The image is a dense one, its channels first or last."""
        return NativePlan(image, problem, problem.copies)

    def pull(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> Shaped[Tensor, "NB C *target"]:
        """Eq. 3, row by row of the output."""
        image, where = _dense(image), _in_line(problem.where)
        return NativePlan(image, problem, problem.copies).pull(image, where)

    def push(
        self, values: Float[Tensor, "NB C *target"], problem: Problem, images: int
    ) -> Float[Tensor, "images C *S"]:
        """Eq. 6, in tiles of the output."""
        where, last = _in_line(problem.where), _is_last(values) and values.ndim == len(problem.size) + 2
        shape = (images, values.shape[1], *problem.size)
        image = torch.zeros(_laid_out(shape, last), dtype=values.dtype, device=_CPU)
        plan = _made(shape, values.dtype, last, problem, copies=False)
        values = _dense(values) if last else _in_line(values)
        batch = max(values.shape[0], where.shape[0]) if values.shape[0] and where.shape[0] else 0
        right = values.shape[0] == batch and tuple(values.shape[2:]) == problem.target and images in (1, batch)
        _require(right, "the values are not those of such points")
        _native.push(plan, _read(values), _read(where), image.data_ptr())
        return image.movedim(-1, 1) if last else image

    def gradients(
        self,
        grad: Float[Tensor, "NB C *target"],
        image: Float[Tensor, "N C *S"],
        problem: Problem,
        wants: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Eq. 6 and eq. 7 in one pass."""
        image, where = _dense(image), _in_line(problem.where)
        return NativePlan(image, problem, copies=False).gradients(grad, image, where, wants)


class NativePlan(Plan):
    """The preparations for dense images and points of one shape, type and layout."""

    def __init__(self, image: Tensor, problem: Problem, copies: bool) -> None:
        self._last = _is_last(image)
        _require(tuple(image.shape[2:]) == problem.size, "the image has another size")
        self._made = _made(tuple(image.shape), image.dtype, self._last, problem, copies)
        batch = problem.where.shape[0] if image.shape[0] == 1 else image.shape[0]
        self._shape = _laid_out((batch, image.shape[1], *problem.target), self._last)
        self._is_alike = not self._last and self._shape == image.shape
        self._is_listed = problem.kind in ("points", "shifts")
        self._numbers = problem.table.numel()

    def pull(self, image: Tensor, where: Tensor) -> Tensor:
        """As `Backend.pull`, for dense tensors of the shapes planned for."""
        output = torch.empty_like(image) if self._is_alike else image.new_empty(self._shape)
        _native.pull(self._made, _read(image), _read(where), output.data_ptr())
        return output.movedim(-1, 1) if self._last else output

    def gradients(
        self, grad: Tensor, image: Tensor, where: Tensor, wants: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """As `Backend.gradients`, for dense tensors of the shapes planned for."""
        wants_image, wants_where, wants_table = wants
        grad = _in_line(grad.movedim(1, -1) if self._last else grad)
        _require(grad.shape == self._shape and grad.dtype == image.dtype, "the gradient is not that of such an output")
        d_image = torch.zeros_like(image) if wants_image else None
        d_where = None
        if wants_where and self._is_listed:
            d_where = where.new_empty((self._shape[0], *where.shape[1:]))
        elif wants_where:
            d_where = torch.zeros_like(where)
        d_table = torch.zeros(self._numbers, dtype=torch.float64, device=_CPU) if wants_table else None
        found = (d_image, d_where, d_table)
        addresses = (0 if t is None else t.data_ptr() for t in found)
        _native.gradients(self._made, _read(grad), _read(image), _read(where), *addresses)
        return found


def _made(shape: tuple[int, ...], stored: torch.dtype, last: bool, problem: Problem, copies: bool) -> Any:
    """C++'s plan for images of this shape: what it needs of the table and of `fill`, it keeps itself."""
    _require(problem.table.dtype == torch.float64, "tables are float64")
    _require(problem.where.dtype in (torch.float32, torch.float64), "points are float32 or float64, matrices float64")
    target, whole, origin = problem.target, problem.whole, problem.origin
    if len(target) != len(problem.size):  # a list of points
        target = whole = (math.prod(target),)
        origin = (0,)
    where, table, fill = problem.where, problem.table.contiguous(), problem.fill
    if fill.numel() > 0:
        fill = fill.to(stored if copies else torch.float64).expand(shape[1]).contiguous()
    padding = tuple(map(PADDING_MODES.index, problem.padding))
    return _native.plan(
        _laid_out(shape, last), tuple(where.shape), problem.kernels, padding, target[::-1], problem.extent[::-1],
        problem.begin[::-1], whole[::-1], origin[::-1], last, where.dtype == torch.float64, problem.align_corners,
        copies, _STORED.get(stored, -1), stored.itemsize, KINDS.index(problem.kind), table.data_ptr(), table.numel(),
        fill.data_ptr(), fill.numel(),
    )  # fmt: skip


def _require(right: bool, what: str) -> None:
    """Nothing is read by address that is not what the plan says."""
    if not right:
        raise ValueError(f"warpkit: {what}")


def _laid_out(shape: tuple[int, ...], last: bool) -> tuple[int, ...]:
    """The shape [N, C, *S] as C++ counts it: [N, *S, C] with the channels last."""
    return (shape[0], *shape[2:], shape[1]) if last else shape


def _is_last(image: Tensor) -> bool:
    return layout(image) != torch.contiguous_format


def _dense(image: Tensor) -> Tensor:
    """The image with its numbers in a row, channels first or last."""
    return _resolved(image).contiguous(memory_format=layout(image))


def _in_line(tensor: Tensor) -> Tensor:
    return _resolved(tensor).contiguous()


def _resolved(tensor: Tensor) -> Tensor:
    """With numbers in memory that are not yet to be negated or conjugated."""
    return tensor.resolve_conj().resolve_neg()


def _read(tensor: Tensor) -> int:
    """The address of what is only read: `data_ptr` copies what is shared until it is written."""
    if not _C._is_cow_tensor(tensor):
        return tensor.data_ptr()
    return int(_C._data_address(tensor)) + int(tensor.storage_offset()) * tensor.itemsize
