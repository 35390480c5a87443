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

from warpkit.sampling.backend import Backend
from warpkit.sampling.boundary import PADDING_MODES
from warpkit.sampling.operators import layout
from warpkit.sampling.problem import KINDS, Problem

_MAX_TAPS = 16
_STORED = frozenset((
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.uint16, torch.int16,
    torch.int32,
))  # fmt: skip


def _load() -> str | None:
    """Registers the operators; what is missing, if anything is."""
    try:
        importlib.import_module("warpkit.sampling._native")
    except ImportError as error:
        return f"is not built ({error}): reinstall warpkit where a C++ compiler is"
    words = [f"taps:{_MAX_TAPS}", *(f"{w}:{i}" for each in (PADDING_MODES, KINDS) for i, w in enumerate(each))]
    if torch.ops.warpkit_native.constants() != " ".join(words):
        return "is of another version: reinstall warpkit"
    return None


_missing = _load()


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
        if problem.stored not in _STORED and not problem.copies:
            return f"copies {problem.stored} images by nearest, and samples them in no other way"
        most = problem.most_taps
        return f"takes up to {_MAX_TAPS} taps, one of the kernels has {most}" if most > _MAX_TAPS else None

    def describe(self) -> str:
        """The instruction set in use."""
        return str(torch.ops.warpkit_native.level()) if _missing is None else ""

    def pull(self, image: Shaped[Tensor, "N C *S"], problem: Problem) -> Shaped[Tensor, "NB C *target"]:
        """Eq. 3, row by row of the output."""
        last = _is_last(image)
        where, (points, target, whole) = _points(problem)
        found: Tensor = torch.ops.warpkit_native.pull(
            _dense(image, last), where, problem.table, _fill(problem, image), *_how(problem, target), last
        )
        found = found.movedim(-1, 1) if last else found
        return found if whole else found.reshape(*found.shape[:2], *points)

    def push(
        self, values: Float[Tensor, "NB C *target"], problem: Problem, images: int
    ) -> Float[Tensor, "images C *S"]:
        """Eq. 6, in tiles of the output."""
        last = _is_last(values) and values.ndim == len(problem.size) + 2
        where, (_, target, whole) = _points(problem)
        values = values if whole else values.reshape(*values.shape[:2], target[0])
        channels = values.shape[1]
        shape = (images, *problem.size, channels) if last else (images, channels, *problem.size)
        found: Tensor = torch.ops.warpkit_native.push(
            _dense(values, last), where, problem.table, list(shape), *_how(problem, target), last
        )
        return found.movedim(-1, 1) if last else found

    def gradients(
        self,
        grad: Float[Tensor, "NB C *target"],
        image: Float[Tensor, "N C *S"],
        problem: Problem,
        wants: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None] | None:
        """Eq. 6 and eq. 7 in one pass."""
        last = _is_last(image)
        where, (_, target, whole) = _points(problem)
        grad = grad if whole else grad.reshape(*grad.shape[:2], target[0])
        d_image, d_where, d_table = torch.ops.warpkit_native.gradients(
            _dense(grad, last), _dense(image, last), where, problem.table, _fill(problem, image, summed=True),
            *_how(problem, target), last, *wants,
        )  # fmt: skip
        if wants[0] and last:
            d_image = d_image.movedim(-1, 1)
        if wants[1]:
            d_where = d_where.reshape(d_where.shape[0], *problem.where.shape[1:])
        return tuple(g if wanted else None for g, wanted in zip((d_image, d_where, d_table), wants, strict=True))  # type: ignore[return-value]


def _is_last(image: Tensor) -> bool:
    return layout(image) != torch.contiguous_format


def _dense(image: Tensor, last: bool) -> Tensor:
    """As C++ reads it: [N, C, *S], or [N, *S, C] with the channels last."""
    return (image.movedim(1, -1) if last else image).contiguous()


def _points(problem: Problem) -> tuple[Tensor, tuple[tuple[int, ...], tuple[int, ...], bool]]:
    """`where` as a list of points or matrices, and (target, what C++ is told of it, whether that is the same).

    A grid's rows and columns are told, so that neighbours are worked on together.
    """
    where, target = problem.where, problem.target
    whole = len(target) == len(problem.size)
    if problem.kind in ("points", "shifts"):
        where = where.reshape(where.shape[0], math.prod(target), len(problem.size))
    return where.contiguous(), (target, target if whole else (math.prod(target),), whole)


def _how(problem: Problem, target: tuple[int, ...]) -> tuple[Any, ...]:
    """Kernels, padding, target (x first), kind and alignment, in C++'s numbers."""
    padding = [PADDING_MODES.index(mode) for mode in problem.padding]
    return list(problem.kernels), padding, list(target[::-1]), KINDS.index(problem.kind), problem.align_corners


def _fill(problem: Problem, image: Tensor, summed: bool = False) -> Tensor:
    """A number for each channel, or none: as it is stored where pixels are copied, in float64 where they are summed."""
    fill = problem.fill
    if fill.numel() == 0:
        return fill if fill.dtype == torch.float64 else fill.to(torch.float64)
    fill = fill.to(torch.float64 if summed or not problem.copies else image.dtype)
    return fill.expand(image.shape[1]).contiguous()
