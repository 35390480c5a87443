"""Pull, push and all first derivatives as operators of torch: what `torch.compile` and `torch.export` keep in a graph.

Each names its backend, gets a problem in tensors, numbers and words (`problem.flat`), and says what shape it gives.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from warpkit.sampling.backend import Backend, backends
from warpkit.sampling.operators import gradients, gradients_of_push, held, kept, layout
from warpkit.sampling.problem import FLAT, Problem, from_flat

_CPU = torch.device("cpu")

_LAYOUT = (
    "Tensor where, Tensor table, Tensor fill, str kind, int[] kernels, int[] padding, SymInt[] size, SymInt[] target, "
    "SymInt[] extent, SymInt[] begin, SymInt[] whole, SymInt[] origin, bool align_corners"
)
_library: Any = torch.library.Library("warpkit", "DEF")  # type: ignore[no-untyped-call]
_library.define(f"pull(Tensor image, {_LAYOUT}, str backend) -> Tensor")
_library.define(f"push(Tensor values, {_LAYOUT}, SymInt images, str backend) -> Tensor")
_library.define(
    f"gradients(Tensor grad, Tensor image, {_LAYOUT}, bool wants_image, bool wants_where, bool wants_table, "
    "str backend) -> (Tensor, Tensor, Tensor)"
)


def _check_values(values: Tensor, problem: Problem) -> None:
    if values.shape[2:] != problem.target or problem.where.shape[0] not in (1, values.shape[0]):
        raise ValueError("warpkit: the values are not those of such points")


def _pull_now(image: Tensor, *rest: Any) -> Tensor:
    found = _by_name(rest[-1]).pull(image, from_flat(image, rest[:FLAT]))
    return found.contiguous(memory_format=layout(image) if found.ndim == image.ndim else torch.contiguous_format)


def _push_now(values: Tensor, *rest: Any) -> Tensor:
    *flat, images, name = rest
    problem = from_flat(values, flat)
    _check_values(values, problem)
    if images not in (1, values.shape[0]):
        raise ValueError(f"warpkit: expected 1 or {values.shape[0]} images, got {images}")
    found = _by_name(name).push(values, problem, images)
    return found.contiguous(memory_format=layout(values) if found.ndim == values.ndim else torch.contiguous_format)


def _gradients_now(grad: Tensor, image: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    *flat, wants_image, wants_where, wants_table, name = rest
    backend, problem = _by_name(name), from_flat(image, flat)
    _check_values(grad, problem)
    wants = (wants_image, wants_where, wants_table)
    found = backend.gradients(grad, image, problem, wants)
    if found is None:
        with torch.no_grad():
            found = gradients(backend, grad, image, problem, wants)
    like = _gradients_shapes(grad, image, *rest)
    each = zip(found, like, wants, strict=True)
    made = [g.to(e.dtype) if wanted else e for g, e, wanted in each]  # type: ignore[union-attr]
    return made[0].contiguous(memory_format=layout(image)) if wants_image else made[0], made[1], made[2]


def _pull_shape(image: Tensor, where: Tensor, *rest: Any) -> Tensor:
    batch, target = (where if image.shape[0] == 1 else image).shape[0], rest[6]
    return _like(image, batch, target)


def _push_shape(values: Tensor, *rest: Any) -> Tensor:
    return _like(values, rest[FLAT], rest[6])


def _like(image: Tensor, batch: Any, size: Sequence[Any]) -> Tensor:
    made = image.new_empty(batch, image.shape[1], *size)
    return made.to(memory_format=layout(image)) if made.ndim == image.ndim else made


def _gradients_shapes(grad: Tensor, image: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    where, table, kind = rest[0], rest[1], rest[3]
    wants_image, wants_where, wants_table = rest[FLAT : FLAT + 3]
    batch = grad.shape[0] if kind in ("points", "shifts") else where.shape[0]
    return (
        image.new_empty(image.shape).to(memory_format=layout(image)) if wants_image else image.new_empty(0),
        table.new_empty((batch, *where.shape[1:]) if wants_where else (0,)),
        table.new_empty(table.shape if wants_table else (0,)),
    )


def _save_pull(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.name = inputs[-1]
    held(ctx, from_flat(inputs[0], inputs[1 : FLAT + 1]), inputs[0])


def _pull_back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    image, problem = kept(ctx)
    found = gradients(_by_name(ctx.name), grad, image, problem, ctx.needs_input_grad[:3], ctx.name)
    return (*found, *[None] * (FLAT - 1))


def _push_back(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    values, problem = kept(ctx)
    found = gradients_of_push(_by_name(ctx.name), grad, values, problem, ctx.needs_input_grad[:3], ctx.name)
    return (*found, *[None] * FLAT)


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
