"""The native backend: eq. 3 and its gradients in C++, for one processor's cores (`csrc/`).

It reads the kernels' tables, so every kernel that has one runs at the speed of the built-in ones. A matrix goes from θ
to pixels with no grid in between. First derivatives are C++ too, higher ones the reference backend's.
"""

import contextlib
import importlib
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit import tracing
from warpkit.kernels.base import Kernel
from warpkit.kernels.table import evaluate, kept_table, plan
from warpkit.precision import working
from warpkit.sampling.backend import Backend, Rule
from warpkit.sampling.boundary import PADDING_MODES
from warpkit.sampling.reference import Reference

try:
    importlib.import_module("warpkit.sampling._native")  # registers the operators
except ImportError as error:
    _missing: str | None = f"is not built ({error}): reinstall warpkit where a C++ compiler is"
else:
    _missing = None

_MAX_TAPS = 16
_POINTS, _AFFINE, _PROJECTIVE = range(3)
_NO_FILL = torch.empty(0, dtype=torch.float64)
_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


class Native(Backend):
    """C++ on the CPU: floating-point images, any kernel with a table of up to 16 taps."""

    def __init__(self) -> None:
        if _missing is not None:
            warnings.warn(
                f"warpkit's native backend {_missing}. Until then the slower reference backend serves.", stacklevel=2
            )

    def refuses(self, image: Shaped[Tensor, "N C *S"], rule: Rule) -> str | None:
        """Why this image is the reference's work: another device or type, a kernel without a table, forward mode."""
        if _missing is not None:
            return _missing
        if image.device.type != "cpu":
            return f"samples on the CPU, the image is on {image.device}"
        if not image.is_floating_point():
            return f"samples floating-point images, got {image.dtype}"
        if tracing.function_transforms_active():
            return "has no forward mode and no vmap: function transforms are the reference backend's"
        if isinstance(rule.fill, Tensor) and rule.fill.requires_grad:
            return "has no gradient for fill"
        for kernel in set(rule.kernels):
            if kernel.taps > _MAX_TAPS:
                return f"takes up to {_MAX_TAPS} taps, {type(kernel).__name__} has {kernel.taps}"
            if plan(kernel, working(image.dtype))[0] is None:
                return f"needs a table, and {type(kernel).__name__} has none for {image.dtype}"
        return None

    def describe(self) -> str:
        """The instruction set in use."""
        return str(torch.ops.warpkit.level()) if _missing is None else ""

    def sample_points(
        self, image: Shaped[Tensor, "N C *S"], coords: Float[Tensor, "B *T D"], rule: Rule
    ) -> Shaped[Tensor, "NB C *T"]:
        """A list of points, whatever its shape."""
        target = coords.shape[1:-1]
        # a grid's rows and columns are told, so that neighbours are worked on together
        size = list(reversed(target)) if len(target) == image.ndim - 2 else [target.numel()]
        points = coords.reshape(coords.shape[0], target.numel(), coords.shape[-1])
        result = _call(image, points.contiguous(), rule, size, _POINTS)
        return result.reshape(*result.shape[:2], *target)

    def sample_matrix(
        self,
        image: Shaped[Tensor, "N C *S"],
        matrix: Float[Tensor, "B E E"],
        is_affine: bool,
        size: tuple[int, ...],
        rule: Rule,
    ) -> Shaped[Tensor, "NB C *size"]:
        """Row by row of the output, with no grid."""
        return _call(image, matrix.contiguous(), rule, list(reversed(size)), _AFFINE if is_affine else _PROJECTIVE)


def _call(image: Tensor, where: Tensor, rule: Rule, size: list[int], kind: int) -> Tensor:
    dtype = working(image.dtype)
    pixels = image.to(dtype)
    last = image.ndim in _LAST and not pixels.is_contiguous() and pixels.is_contiguous(memory_format=_LAST[image.ndim])
    pixels = pixels.movedim(1, -1) if last else pixels.contiguous()
    table, shapes = _pack(rule.kernels, dtype)
    padding = [PADDING_MODES.index(mode) for mode in rule.padding]
    inputs = pixels, where, table, _fill(rule, image), shapes, padding, size, kind, rule.align_corners, last
    result: Tensor = torch.ops.warpkit.sample(*inputs) if torch.compiler.is_compiling() else _sample(*inputs)
    return (result.movedim(-1, 1) if last else result).to(image.dtype)


def _pack(kernels: Sequence[Kernel], dtype: torch.dtype) -> tuple[Tensor, list[int]]:
    """The tables in one row, and for each axis: pieces, taps, degree, whether they sum to one, where it starts."""
    known: dict[int, list[int]] = {}
    tables: list[Tensor] = []
    shapes: list[int] = []
    start = 0
    for kernel in kernels:
        if id(kernel) not in known:
            table = kept_table(kernel, dtype)
            assert table is not None  # or `refuses` had said so
            pieces, taps, width = table.shape
            known[id(kernel)] = [pieces, taps, width - 1, int(kernel.partition_of_unity), start]
            tables.append(table.flatten())
            start += table.numel()
        shapes += known[id(kernel)]
    return (tables[0] if len(tables) == 1 else torch.cat(tables)), shapes


def _fill(rule: Rule, image: Tensor) -> Tensor:
    if isinstance(rule.fill, Tensor):
        return rule.fill.to(torch.float64).expand(image.shape[1]).contiguous()
    if rule.fill or tracing.is_recording():
        return torch.full((image.shape[1] if rule.fill else 0,), rule.fill, dtype=torch.float64)
    return _NO_FILL


# ------------------------------------------------------------------------------------ what the operators are to torch


def _sample_shape(image: Tensor, where: Tensor, *rest: Any) -> Tensor:
    _table, _fill, _kernels, _padding, size, _kind, _align_corners, channels_last = rest
    batch = where.shape[0] if image.shape[0] == 1 else image.shape[0]
    target = list(reversed(size))
    if channels_last:
        return image.new_empty(batch, *target, image.shape[-1])
    return image.new_empty(batch, image.shape[1], *target)


def _backward_shapes(grad: Tensor, image: Tensor, where: Tensor, table: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    _fill, _kernels, _padding, _size, kind, _align_corners, _last, wants_image, wants_where, wants_table = rest
    batch = grad.shape[0] if kind == _POINTS else where.shape[0]
    return (
        torch.empty_like(image) if wants_image else image.new_empty(0),
        table.new_empty(batch, *where.shape[1:]) if wants_where else table.new_empty(0),
        torch.empty_like(table) if wants_table else table.new_empty(0),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*(x for x in inputs if isinstance(x, Tensor)))
    ctx.rest = [x for x in inputs if not isinstance(x, Tensor)]


def _first_derivative(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    image, where, table, fill = ctx.saved_tensors
    wants = ctx.needs_input_grad[:3]
    if tracing.function_transforms_active():  # they began after the image was sampled
        pull = torch.func.vjp(lambda u, w, t: _by_reference(u, w, t, fill, *ctx.rest), image, where, table)[1]
        return (*(g if wanted else None for g, wanted in zip(pull(grad), wants, strict=True)), *[None] * 7)
    with contextlib.nullcontext() if torch.is_grad_enabled() else tracing.below_autograd():
        d_image, d_where, d_table = torch.ops.warpkit.sample_backward(
            grad.contiguous(), image, where, table, fill, *ctx.rest, *wants
        )
    if wants[1] and where.shape[0] == 1 != d_where.shape[0]:
        d_where = d_where.sum(0, keepdim=True)
    gradients = (d_image, d_where.to(where.dtype), d_table)
    return (*(g if wanted else None for g, wanted in zip(gradients, wants, strict=True)), *[None] * 7)


def _second_derivative(ctx: Any, *outer: Tensor | None) -> tuple[Any, ...]:
    """The derivatives of `sample_backward`, through the reference backend; it can be differentiated again."""
    grad, image, where, table, fill = ctx.saved_tensors
    *rest, wants_image, wants_where, wants_table = ctx.rest
    with torch.enable_grad():
        inputs = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in (grad, image, where, table)]
        # sample_backward gives each image's own gradient in points that all of them share
        shared = rest[3] == _POINTS and where.shape[0] == 1
        each = inputs[2].expand(image.shape[0], -1, -1) if shared else inputs[2]
        result = _by_reference(inputs[1], each, inputs[3], fill, *rest)
        wanted = (inputs[1], wants_image), (each, wants_where), (inputs[3], wants_table)
        chosen = [x for x, wants in wanted if wants]
        first = torch.autograd.grad(result, chosen, inputs[0], create_graph=True, allow_unused=True)
        given = [o for o, (_, wants) in zip(outer, wanted, strict=True) if wants]
        pairs = [
            (f, o.to(f.dtype).reshape(f.shape))
            for f, o in zip(first, given, strict=True)
            if f is not None and o is not None and f.requires_grad
        ]
        gradients: Sequence[Tensor | None] = [None] * 4
        if pairs:
            gradients = torch.autograd.grad(
                [f for f, _ in pairs], inputs, [o for _, o in pairs], create_graph=True, allow_unused=True
            )
    return (*gradients, *[None] * 10)


def _by_reference(
    image: Tensor,
    where: Tensor,
    table: Tensor,
    fill: Tensor,
    kernels: list[int],
    padding: list[int],
    size: list[int],
    kind: int,
    align_corners: bool,
    channels_last: bool,
) -> Tensor:
    """What `warpkit::sample` gives."""
    each = []
    for axis in range(0, len(kernels), 5):
        pieces, taps, degree, unity, start = kernels[axis : axis + 5]
        width = degree + 1
        own = table[start : start + pieces * taps * width].reshape(pieces, taps, width)
        each.append(_Tabled(taps / 2, taps, bool(unity), own))
    modes = tuple(PADDING_MODES[k] for k in padding)
    rule: Any = Rule(tuple(each), modes, fill if fill.numel() else 0.0, align_corners)  # type: ignore[arg-type]
    planar = image.movedim(-1, 1) if channels_last else image
    if kind == _POINTS:
        result = Reference().sample_points(planar, where, rule)
        result = result.reshape(*result.shape[:2], *reversed(size))
    else:
        result = Reference().sample_matrix(planar, where, kind == _AFFINE, tuple(reversed(size)), rule)
    return result.movedim(1, -1) if channels_last else result


class _Sample(torch.autograd.Function):
    """`warpkit::sample` where no compiler looks on: what torch wraps an operator in takes as long as a small image."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, where: Tensor, table: Tensor, fill: Tensor, rest: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(image, where, table, fill)
        ctx.rest = rest
        with tracing.below_autograd():
            return torch.ops.warpkit.sample(image, where, table, fill, *rest)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        return _first_derivative(ctx, *grads)[:5]


def _sample(image: Tensor, where: Tensor, table: Tensor, fill: Tensor, *rest: Any) -> Tensor:
    if torch.is_grad_enabled() and (image.requires_grad or where.requires_grad or table.requires_grad):
        return _Sample.apply(image, where, table, fill, rest)  # type: ignore[no-any-return, no-untyped-call]
    with tracing.below_autograd():
        return torch.ops.warpkit.sample(image, where, table, fill, *rest)  # type: ignore[no-any-return]


class _Tabled(NamedTuple):
    """A kernel of which nothing is left but its table: what the reference asks of one."""

    radius: float
    taps: int
    partition_of_unity: bool
    coefficients: Tensor

    def weights(self, fraction: Tensor, eps: float) -> list[Tensor]:
        return evaluate(self.coefficients, fraction, eps)


if _missing is None:
    torch.library.register_fake("warpkit::sample", _sample_shape)
    torch.library.register_fake("warpkit::sample_backward", _backward_shapes)
    torch.library.register_autograd("warpkit::sample", _first_derivative, setup_context=_save)
    torch.library.register_autograd("warpkit::sample_backward", _second_derivative, setup_context=_save)
