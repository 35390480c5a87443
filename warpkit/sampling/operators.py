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
from typing import Any, NamedTuple

import torch
from torch import Tensor

from warpkit import geometry, tracing
from warpkit.sampling.backend import Backend, Plan, backends
from warpkit.sampling.problem import Problem, flat

_CPU = torch.device("cpu")
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]  # in the image, in `where`, in `table`


def pull(backend: Backend, image: Tensor, problem: Problem, name: str = "") -> Tensor:
    """`backend.pull`, with derivatives of every order. `name`: of the backend, for a graph."""
    if backend.is_differentiable:
        return backend.pull(image, problem)
    if tracing.is_watched():
        return torch.ops.warpkit.pull(image, *flat(problem), name)  # type: ignore[no-any-return]
    if learns(image, problem):
        return _Pull.apply(image, problem.where, problem.table, backend, problem, name)  # type: ignore[no-any-return, no-untyped-call]
    with tracing.below_autograd():
        return backend.pull(image, problem)


class Prepared(NamedTuple):
    """A plan, whose it is, and the problem it was made for, but for `where`."""

    plan: Plan
    problem: Problem
    backend: Backend
    name: str


def by_plan(prepared: Prepared, image: Tensor, where: Tensor) -> Tensor:
    """`pull` at these points, or by these matrices."""
    if (image.requires_grad or where.requires_grad) and torch.is_grad_enabled():
        return _PullByPlan.apply(image, where, prepared)  # type: ignore[no-any-return, no-untyped-call]
    return prepared.plan.pull(image, where)


def push(backend: Backend, values: Tensor, problem: Problem, images: int, name: str = "") -> Tensor:
    """`backend.push`, with derivatives of every order."""
    if backend.is_differentiable:
        return backend.push(values, problem, images)
    if tracing.is_watched():
        return torch.ops.warpkit.push(values, *flat(problem), images, name)  # type: ignore[no-any-return]
    if learns(values, problem):
        return _Push.apply(values, problem.where, problem.table, backend, problem, images, name)  # type: ignore[no-any-return, no-untyped-call]
    with tracing.below_autograd():
        return backend.push(values, problem, images)


def layout(image: Tensor) -> torch.memory_format:
    """Channels last where the image is: the results of sampling are laid out like what is sampled."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(image.ndim)
    if last is None or image.is_contiguous() or not image.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


def learns(values: Tensor, problem: Problem) -> bool:
    """Whether autograd wants the derivative in what is sampled or pushed, or in the problem."""
    needed = values.requires_grad or problem.where.requires_grad or problem.table.requires_grad
    return needed and torch.is_grad_enabled()


def held(ctx: Any, problem: Problem, *tensors: Tensor) -> None:
    """Keep these for the way back: tensors as autograd keeps them, all else of the problem beside them."""
    ctx.save_for_backward(*tensors, problem.where, problem.table, problem.fill)
    none: Any = None
    ctx.problem = problem._replace(where=none, table=none, fill=none)


def kept(ctx: Any) -> tuple[Tensor, Problem]:
    """The tensor and the problem that were held."""
    tensor, where, table, fill = ctx.saved_tensors
    return tensor, ctx.problem._replace(where=where, table=table, fill=fill)


class _Pull(torch.autograd.Function):
    """`pull` where no compiler looks on: what torch wraps an operator in takes as long as a small image."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, where: Tensor, table: Tensor, backend: Backend, problem: Problem, name: str
    ) -> Tensor:
        ctx.chosen = backend, name
        held(ctx, problem, image)
        with tracing.below_autograd():
            return backend.pull(image, problem)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        (image, problem), (backend, name) = kept(ctx), ctx.chosen
        return *gradients(backend, grads[0], image, problem, ctx.needs_input_grad[:3], name), None, None, None


class _PullByPlan(torch.autograd.Function):
    """The same by a plan."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, where: Tensor, prepared: Prepared) -> Tensor:
        ctx.prepared, ctx.types = prepared, (image.dtype, where.dtype)
        ctx.save_for_backward(image, where)
        return prepared.plan.pull(image, where)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        plan, problem, backend, name = ctx.prepared
        wants = (*ctx.needs_input_grad[:2], False)
        # What was saved may have been kept elsewhere by a hook, and come back as something else.
        image, where = (t.to(dtype) for t, dtype in zip(ctx.saved_tensors, ctx.types, strict=True))
        same = image.is_contiguous() and where.is_contiguous()
        if torch.is_grad_enabled() or not (same and tracing.is_plain() and not tracing.is_batched(grads[0])):
            return *gradients(backend, grads[0], image, problem._replace(where=where), wants, name)[:2], None
        d_image, d_where, _ = plan.gradients(grads[0], image, where, wants)
        if d_where is not None and d_where.shape[0] != where.shape[0]:  # shared
            d_where = d_where.sum(0, keepdim=True)
        return d_image, d_where, None


class _Push(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        where: Tensor,
        table: Tensor,
        backend: Backend,
        problem: Problem,
        images: int,
        name: str,
    ) -> Tensor:
        ctx.chosen = backend, name
        held(ctx, problem, values)
        with tracing.below_autograd():
            return backend.push(values, problem, images)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        (values, problem), (backend, name) = kept(ctx), ctx.chosen
        found = gradients_of_push(backend, grads[0], values, problem, ctx.needs_input_grad[:3], name)
        return *found, None, None, None, None


def gradients_of_push(
    backend: Backend, grad: Tensor, values: Tensor, problem: Problem, wants: Sequence[bool], name: str = ""
) -> Gradients:
    """Pull and push are each other's adjoint: what is the image of one is the gradient of the other."""
    problem = problem._replace(fill=problem.fill[:0])
    d_values = pull(backend, grad, problem, name) if wants[0] else None
    _, d_where, d_table = gradients(backend, values, grad, problem, (False, *wants[1:]), name)
    return d_values, d_where, d_table


def gradients(
    backend: Backend, grad: Tensor, image: Tensor, problem: Problem, wants: Sequence[bool], name: str = ""
) -> Gradients:
    """Of `pull`, for a gradient that comes in. Differentiable where grad mode asks for it."""
    wants_image, wants_where, wants_table = wants
    if not (wants_image or wants_where or wants_table):
        return None, None, None
    if tracing.function_transforms_active() or tracing.is_batched(grad):  # they began after the image was sampled
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
    if tracing.is_watched():
        found = torch.ops.warpkit.gradients(grad, image, *flat(problem), *wants, name)
        return tuple(g if wanted else None for g, wanted in zip(found, wants, strict=True))  # type: ignore[return-value]
    with tracing.below_autograd():
        return backend.gradients(grad, image, problem, wants)


def _of_shared(d_where: Tensor, problem: Problem) -> Tensor:
    return d_where.sum(0, keepdim=True) if problem.has_shared_where and d_where.shape[0] != 1 else d_where


def _from_pixels(slopes: list[Tensor], problem: Problem) -> Tensor:
    """From the gradients of pixel coordinates x, y, z to those of `where`, which gave them."""
    halves = [geometry.half_extent(n, problem.align_corners) for n in reversed(problem.extent)]
    if problem.kind in ("points", "shifts"):
        return torch.stack([slope * half for slope, half in zip(slopes, halves, strict=True)], dim=-1)
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        learns = problem.where.requires_grad
        matrix = problem.where.view_as(problem.where) if learns else problem.where.detach().requires_grad_()
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
