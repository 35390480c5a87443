"""Sampling as differentiable operations: every derivative, for all backends at once.

The derivative of the sampler is the sampler with differentiated tables. With u the image, p the points and g the
gradient that comes in,

    pull(u, p):   ∂u is push(g, p)   (eq. 6);   ∂p_i is the sum over channels of g · pull(u, p) with axis i
                  differentiated (eq. 7);
    push(v, p):   ∂v is pull(g, p);             ∂p_i is the sum over channels of v · pull(g, p) with axis i
                  differentiated;

and every derivative of those is again one of these two, with higher orders. A backend's fused pass for all first
derivatives is used where nobody will differentiate again. The gradient of the tables (Φ) comes from that pass or, where
it has to be differentiable itself, from the reference backend.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit import geometry, tracing
from warpkit.errors import quoted
from warpkit.sampling.backend import Backend, backends
from warpkit.sampling.boundary import PADDING_MODES
from warpkit.sampling.problem import KINDS, Problem

_CPU = torch.device("cpu")
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]  # in the image, in `where`, in `table`


def pull(backend: Backend, image: Tensor, problem: Problem, name: str = "") -> Tensor:
    """`backend.pull`, with derivatives of every order. `name`: of the backend, for a graph."""
    if backend.is_differentiable:
        return backend.pull(image, problem)
    if tracing.is_recording():
        return torch.ops.warpkit.pull(image, *_flat(problem), name)  # type: ignore[no-any-return]
    if torch.is_grad_enabled() and _learns(image, problem):
        return _Pull.apply(image, problem.where, problem.table, backend, problem)  # type: ignore[no-any-return, no-untyped-call]
    with tracing.below_autograd():
        return backend.pull(image, problem)


def push(backend: Backend, values: Tensor, problem: Problem, images: int, name: str = "") -> Tensor:
    """`backend.push`, with derivatives of every order."""
    if backend.is_differentiable:
        return backend.push(values, problem, images)
    if tracing.is_recording():
        return torch.ops.warpkit.push(values, *_flat(problem), images, name)  # type: ignore[no-any-return]
    if torch.is_grad_enabled() and _learns(values, problem):
        return _Push.apply(values, problem.where, problem.table, backend, problem, images)  # type: ignore[no-any-return, no-untyped-call]
    with tracing.below_autograd():
        return backend.push(values, problem, images)


def layout(image: Tensor) -> torch.memory_format:
    """Channels last where the image is: the results of sampling are laid out like what is sampled."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(image.ndim)
    if last is None or image.is_contiguous() or not image.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


def _learns(values: Tensor, problem: Problem) -> bool:
    return values.requires_grad or problem.where.requires_grad or problem.table.requires_grad


# What autograd keeps between the ways is tensors; all else of the problem is held beside them, without its own.
def _held(ctx: Any, problem: Problem, *tensors: Tensor) -> None:
    ctx.save_for_backward(*tensors, problem.where, problem.table, problem.fill)
    none: Any = None
    ctx.problem = problem._replace(where=none, table=none, fill=none)


def _again(ctx: Any) -> tuple[Tensor, Problem]:
    tensor, where, table, fill = ctx.saved_tensors
    return tensor, ctx.problem._replace(where=where, table=table, fill=fill)


class _Pull(torch.autograd.Function):
    """`pull` where no compiler looks on: what torch wraps an operator in takes as long as a small image."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, where: Tensor, table: Tensor, backend: Backend, problem: Problem) -> Tensor:
        ctx.backend = backend
        _held(ctx, problem, image)
        with tracing.below_autograd():
            return backend.pull(image, problem)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        image, problem = _again(ctx)
        return *_gradients(ctx.backend, grads[0], image, problem, ctx.needs_input_grad[:3]), None, None


class _Push(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, where: Tensor, table: Tensor, backend: Backend, problem: Problem, images: int
    ) -> Tensor:
        ctx.backend = backend
        _held(ctx, problem, values)
        with tracing.below_autograd():
            return backend.push(values, problem, images)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        values, problem = _again(ctx)
        return *_gradients_of_push(ctx.backend, grads[0], values, problem, ctx.needs_input_grad[:3]), None, None, None


def _gradients_of_push(
    backend: Backend, grad: Tensor, values: Tensor, problem: Problem, wants: Sequence[bool], name: str = ""
) -> Gradients:
    """Pull and push are each other's adjoint: what is the image of one is the gradient of the other."""
    problem = problem._replace(fill=problem.fill[:0])
    d_values = pull(backend, grad, problem, name) if wants[0] else None
    _, d_where, d_table = _gradients(backend, values, grad, problem, (False, *wants[1:]), name)
    return d_values, d_where, d_table


def _gradients(
    backend: Backend, grad: Tensor, image: Tensor, problem: Problem, wants: Sequence[bool], name: str = ""
) -> Gradients:
    """Of `pull`, for a gradient that comes in. Differentiable where grad mode asks for it."""
    wants_image, wants_where, wants_table = wants
    if not (wants_image or wants_where or wants_table):
        return None, None, None
    if tracing.function_transforms_active():  # they began after the image was sampled
        return _by_reference(grad, image, problem, wants)
    if not torch.is_grad_enabled():
        fused = _fused(backend, grad, image, problem, (wants_image, wants_where, wants_table), name)
        if fused is not None:
            d_image, d_where, d_table = fused
            if d_where is not None:
                d_where = _of_shared(d_where, problem).to(problem.where.dtype)
            return d_image, d_where, d_table
    if wants_table:  # as rare as second derivatives are; the table's own are the reference's
        return _by_reference(grad, image, problem, wants)
    d_image = push(backend, grad, problem, image.shape[0], name) if wants_image else None
    d_where = None
    if wants_where:
        slopes = [(grad * pull(backend, image, problem.derivative(a), name)).sum(1) for a in range(len(problem.size))]
        d_where = _of_shared(_from_pixels(slopes, problem), problem).to(problem.where.dtype)
    return d_image, d_where, None


def _fused(
    backend: Backend, grad: Tensor, image: Tensor, problem: Problem, wants: tuple[bool, bool, bool], name: str
) -> Gradients | None:
    if tracing.is_recording():
        found = torch.ops.warpkit.gradients(grad, image, *_flat(problem), *wants, name)
        return tuple(g if wanted else None for g, wanted in zip(found, wants, strict=True))  # type: ignore[return-value]
    with tracing.below_autograd():
        return backend.gradients(grad, image, problem, wants)


def _of_shared(d_where: Tensor, problem: Problem) -> Tensor:
    return d_where.sum(0, keepdim=True) if problem.has_shared_where and d_where.shape[0] != 1 else d_where


def _from_pixels(slopes: list[Tensor], problem: Problem) -> Tensor:
    """From the gradients of pixel coordinates x, y, z to those of `where`, which gave them."""
    halves = [geometry.half_extent(n, problem.align_corners) for n in reversed(problem.size)]
    if problem.kind in ("points", "shifts"):
        return torch.stack([slope * half for slope, half in zip(slopes, halves, strict=True)], dim=-1)
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        kept = problem.where.requires_grad
        matrix = problem.where.view_as(problem.where) if kept else problem.where.detach().requires_grad_()
        pixels = problem._replace(where=matrix).pixels()
        slopes = [slope.to(x.dtype).reshape(-1, *x.shape[1:]) for slope, x in zip(slopes, pixels, strict=True)]
        if problem.has_shared_where:
            slopes = [slope.sum(0, keepdim=True) for slope in slopes]
        return torch.autograd.grad(pixels, matrix, slopes, create_graph=graph)[0]


def _by_reference(grad: Tensor, image: Tensor, problem: Problem, wants: Sequence[bool]) -> Gradients:
    reference = backends.shared("reference", _CPU)
    if tracing.function_transforms_active():
        saved = image, problem.where, problem.table
        back = torch.func.vjp(lambda u, w, t: reference.pull(u, problem._replace(where=w, table=t)), *saved)[1]
        return tuple(g if wanted else None for g, wanted in zip(back(grad), wants, strict=True))  # type: ignore[return-value]
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        given = (image, problem.where, problem.table)
        inputs = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in given]
        output = reference.pull(inputs[0], problem._replace(where=inputs[1], table=inputs[2]))
        chosen = [t for t, wanted in zip(inputs, wants, strict=True) if wanted]
        found = iter(torch.autograd.grad(output, chosen, grad, create_graph=graph, allow_unused=True))
    return tuple(next(found) if wanted else None for wanted in wants)  # type: ignore[return-value]


# --------------------------------------------------------------------------------- the same for graphs, as operators

_LAYOUT = (
    "Tensor where, Tensor table, Tensor fill, str kind, int[] kernels, int[] padding, SymInt[] size, SymInt[] target, "
    "bool align_corners"
)
_library: Any = torch.library.Library("warpkit", "DEF")  # type: ignore[no-untyped-call]
_library.define(f"pull(Tensor image, {_LAYOUT}, str backend) -> Tensor")
_library.define(f"push(Tensor values, {_LAYOUT}, SymInt images, str backend) -> Tensor")
_library.define(
    f"gradients(Tensor grad, Tensor image, {_LAYOUT}, bool wants_image, bool wants_where, bool wants_table, "
    "str backend) -> (Tensor, Tensor, Tensor)"
)
_FLAT = 9  # arguments of _LAYOUT


def _flat(problem: Problem) -> tuple[Any, ...]:
    padding = [PADDING_MODES.index(mode) for mode in problem.padding]
    return (
        problem.where, problem.table, problem.fill, problem.kind, list(problem.kernels), padding, list(problem.size),
        list(problem.target), problem.align_corners,
    )  # fmt: skip


def _problem(image: Tensor, flat: Sequence[Any]) -> Problem:
    where, table, fill, kind, kernels, padding, size, target, align_corners = flat
    if kind not in KINDS or not all(0 <= mode < len(PADDING_MODES) for mode in padding):
        raise ValueError(f"warpkit: unknown kind {quoted(kind)} or padding {padding}")
    modes = tuple(PADDING_MODES[mode] for mode in padding)
    # What would be read past its end, or take for ever, is refused for every backend.
    d = len(size)
    listed = kind in ("points", "shifts")
    fits = (
        1 <= d <= 3 and len(modes) == d and len(kernels) == 6 * d and table.ndim == fill.ndim == 1
        and image.ndim >= 2 and (kind == "points" or len(target) == d) and min((*size, 1)) > 0
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
        where, table, fill, kind, tuple(kernels), modes, tuple(size), tuple(target), align_corners, image.dtype
    )


def _check_values(values: Tensor, problem: Problem) -> None:
    if values.shape[2:] != problem.target or problem.where.shape[0] not in (1, values.shape[0]):
        raise ValueError("warpkit: the values are not those of such points")


def _pull_now(image: Tensor, *rest: Any) -> Tensor:
    found = _by_name(rest[-1]).pull(image, _problem(image, rest[:_FLAT]))
    return found.contiguous(memory_format=layout(image) if found.ndim == image.ndim else torch.contiguous_format)


def _push_now(values: Tensor, *rest: Any) -> Tensor:
    *flat, images, name = rest
    problem = _problem(values, flat)
    _check_values(values, problem)
    if images not in (1, values.shape[0]):
        raise ValueError(f"warpkit: expected 1 or {values.shape[0]} images, got {images}")
    found = _by_name(name).push(values, problem, images)
    return found.contiguous(memory_format=layout(values) if found.ndim == values.ndim else torch.contiguous_format)


def _gradients_now(grad: Tensor, image: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    *flat, wants_image, wants_where, wants_table, name = rest
    backend, problem = _by_name(name), _problem(image, flat)
    _check_values(grad, problem)
    wants = (wants_image, wants_where, wants_table)
    found = backend.gradients(grad, image, problem, wants)
    if found is None:
        with torch.no_grad():
            found = _gradients(backend, grad, image, problem, wants)
    like = _gradients_shapes(grad, image, *rest)
    each = zip(found, like, wants, strict=True)
    made = [g.to(e.dtype) if wanted else e for g, e, wanted in each]  # type: ignore[union-attr]
    return made[0].contiguous(memory_format=layout(image)) if wants_image else made[0], made[1], made[2]


def _pull_shape(image: Tensor, where: Tensor, *rest: Any) -> Tensor:
    batch, target = (where if image.shape[0] == 1 else image).shape[0], rest[6]
    return _like(image, batch, target)


def _push_shape(values: Tensor, *rest: Any) -> Tensor:
    return _like(values, rest[_FLAT], rest[6])


def _like(image: Tensor, batch: Any, size: Sequence[Any]) -> Tensor:
    made = image.new_empty(batch, image.shape[1], *size)
    return made.to(memory_format=layout(image)) if made.ndim == image.ndim else made


def _gradients_shapes(grad: Tensor, image: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    where, table, kind = rest[0], rest[1], rest[3]
    wants_image, wants_where, wants_table = rest[_FLAT : _FLAT + 3]
    batch = grad.shape[0] if kind in ("points", "shifts") else where.shape[0]
    return (
        image.new_empty(image.shape).to(memory_format=layout(image)) if wants_image else image.new_empty(0),
        table.new_empty((batch, *where.shape[1:]) if wants_where else (0,)),
        table.new_empty(table.shape if wants_table else (0,)),
    )


def _save_pull(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.name = inputs[-1]
    _held(ctx, _problem(inputs[0], inputs[1 : _FLAT + 1]), inputs[0])


def _pull_back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    image, problem = _again(ctx)
    found = _gradients(_by_name(ctx.name), grad, image, problem, ctx.needs_input_grad[:3], ctx.name)
    return (*found, *[None] * (_FLAT - 1))


def _push_back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    values, problem = _again(ctx)
    found = _gradients_of_push(_by_name(ctx.name), grad, values, problem, ctx.needs_input_grad[:3], ctx.name)
    return (*found, *[None] * _FLAT)


def _by_name(name: str) -> Backend:
    return backends.shared(name, _CPU)


for _name, _now, _shape in (
    ("pull", _pull_now, _pull_shape),
    ("push", _push_now, _push_shape),
    ("gradients", _gradients_now, _gradients_shapes),
):
    _library.impl(_name, _now, "CompositeExplicitAutograd")
    torch.library.register_fake(f"warpkit::{_name}", _shape, lib=_library)
torch.library.register_autograd("warpkit::pull", _pull_back, setup_context=_save_pull, lib=_library)
torch.library.register_autograd("warpkit::push", _push_back, setup_context=_save_pull, lib=_library)
