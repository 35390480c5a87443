"""The trial of a module with images that have a shape and no numbers and, if that is cheap, with numbers too."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from warpkit.errors import InputError, require
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.quoting import reason
from warpkit.spec.cost import Bounded, Cost
from warpkit.spec.thrifty import on_meta

BATCH = 2  # images: what takes the batch for channels is seen
# What is tried on the CPU too: numbers of the images, of the weights, of all that is made of them, and the work.
_IMAGES, _WEIGHTS, _MADE, _WORK = 10**5, 10**7, 10**7, 10**9
Shape = tuple[int, ...]


class SurplusError(InputError):
    """A layer takes images of another number of axes: by so many fewer is the `surplus`."""

    surplus: int = 0


class NeedsNumbersError(Exception):
    """The component cannot be tried on the `meta` device."""


def shape_after(
    module: nn.Module,
    shapes: Sequence[Shape],
    seen: Shape | None = None,
    *,
    numbers: bool = False,
    lazy: dict[str, list[Shape]] | None = None,
    cost: Cost | None = None,
) -> tuple[Shape, Cost]:
    """The shape [C, *S] that a module makes of one image of each shape, and the cost of that pass.

    `seen`: the shape that θ is read from, where that is another. `numbers`: on the CPU. `lazy` takes what each lazy
    layer meets. `cost`: where it is known, as the sum of the parts. Raises `InputError` where something does not fit,
    and before more numbers are made than a trial may; its `child` names the part of the module that was entered last.
    """
    _check_axes(module, shapes)
    if numbers:
        bounded = Bounded()
        return _shape(_told(module, "cpu", bounded, shapes, seen, lazy)), bounded
    held = [*module.parameters(), *module.buffers()]
    numbers_held = sum(t.numel() for t in held if not is_lazy(t))
    small = sum(map(math.prod, shapes)) <= _IMAGES and numbers_held <= _WEIGHTS and not any(t.is_meta for t in held)
    mode: Any = Cost() if cost is None else nullcontext()
    try:
        given = _called(module, "meta", mode, shapes, seen, lazy)
    except InputError:
        raise
    except Exception as error:
        if small:  # the CPU says it better; or nothing is wrong
            _told(module, "cpu", Bounded(), shapes, seen, None)
        if small or isinstance(error, NotImplementedError) or "meta" in str(error):
            raise NeedsNumbersError from error
        raise _misfit(error) from error
    cost = cost or mode
    if small and cost.numbers <= _MADE and cost.work <= _WORK:  # meta overlooks a few mistakes
        _told(module, "cpu", nullcontext(), shapes, seen, None)
    return _shape(given), cost


def _told(module: nn.Module, device: str, mode: Any, shapes: Sequence[Shape], seen: Shape | None, lazy: Any) -> Any:
    """The output of the module; any error of torch becomes an `InputError`."""
    try:
        return _called(module, device, mode, shapes, seen, lazy)
    except InputError:
        raise
    except Exception as error:
        raise _misfit(error) from error


def _misfit(error: Exception) -> InputError:
    told = InputError(reason(error))
    told.child = getattr(error, "child", "")  # type: ignore[attr-defined]
    return told


@torch.no_grad()
def _called(module: nn.Module, device: str, mode: Any, shapes: Sequence[Shape], seen: Shape | None, lazy: Any) -> Any:
    """The output of a copy of the module on this device, called under `mode`."""
    module = (on_meta(module) if device == "meta" else copy.deepcopy(module)).eval()
    for name, part in module.named_modules():
        if lazy is not None and any(map(is_lazy, part.parameters(recurse=False))):

            def look(_: nn.Module, args: Any, name: str = name) -> None:
                lazy.setdefault(name, [tuple(x.shape) for x in args])

            part.register_forward_pre_hook(look, prepend=True)
    entered: list[str] = []
    for name, part in module.named_children():
        part.register_forward_pre_hook(lambda _, __, name=name: entered.append(name))
    more = {} if seen is None else {"theta_from": lambda _: torch.zeros(BATCH, *seen, device=device)}
    try:
        with mode, few_steps(module):
            return module(*(torch.zeros(BATCH, *shape, device=device) for shape in shapes), **more)
    except Exception as error:
        error.child = entered[-1] if entered else ""  # type: ignore[attr-defined]
        raise


@contextmanager
def few_steps(module: nn.Module) -> Iterator[None]:
    """Let transformers take two steps at most: a third would give the same shapes."""
    parts = [part for part in module.modules() if isinstance(part, SpatialTransformer) and part.steps > 2]
    many = [part.steps for part in parts]
    try:
        for part in parts:
            part.steps = 2
        yield
    finally:
        for part, steps in zip(parts, many, strict=True):
            part.steps = steps


def _shape(given: Any) -> Shape:
    right = isinstance(given, Tensor) and given.ndim > 0 and given.shape[0] == BATCH
    told = list(given.shape) if isinstance(given, Tensor) else given
    require(right, f"what it gives for {BATCH} images", expected=f"[{BATCH}, …]", given=told)
    return tuple(given.shape[1:])


def _check_axes(module: nn.Module, shapes: Sequence[Shape]) -> None:
    """Raise `SurplusError` where a layer would take an image for one without a batch, or none with so many axes."""
    name, kind = type(module).__name__, type(module).__module__
    if kind.startswith("torch.nn.") and name[-2:] in ("1d", "2d", "3d") and not name.startswith("Dropout"):
        axes = int(name[-2])
    elif isinstance(module, SpatialTransformer):
        axes = module.transform.ndim
    else:
        return
    surplus = len(shapes[0]) - axes - 1
    if surplus != 0 and not (name == "BatchNorm1d" and len(shapes[0]) == 1):
        told = SurplusError(f"{name} takes images of {axes} axes, [C, *S]")
        told.surplus = surplus
        raise told


def batch_hint(error: InputError, shape: Shape, inputs: Sequence[Shape]) -> str:
    """What to say where an image has an axis too many because the spec's input has it, as one with a batch has."""
    written = next((given for given in inputs if len(given) == len(shape)), None)
    if not isinstance(error, SurplusError) or error.surplus != 1 or written is None:
        return ""
    return f"A batch axis is not written: did you mean {list(written[1:])} instead of {list(written)}?"


def initialise(module: nn.Module, shapes: Mapping[str, list[Shape]]) -> None:
    """Give lazy layers their weights, for the shapes that they met when the module was tried."""
    for name, part in module.named_modules():
        if name in shapes:
            seen = tuple(torch.empty(shape, device="meta") for shape in shapes[name])
            part._infer_parameters(part, seen)  # what its first call would do
