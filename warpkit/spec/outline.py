"""The tree of a module's components: names, options, shapes and numbers of parameters."""

import copy
import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from warpkit.component import inferred_of, label_of
from warpkit.errors import InputError
from warpkit.kernels.base import Kernel
from warpkit.modules.network import Network
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.quoting import listed, reason, shown
from warpkit.spec.cost import Bounded, Cost
from warpkit.spec.describe import described_options, name_of, registry_for
from warpkit.spec.mistakes import not_too_deep
from warpkit.spec.thrifty import on_meta
from warpkit.spec.trial import few_steps
from warpkit.transforms.base import Transform

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A component, and the components that it is made of.

    `name`: its path, as in a spec's error messages: `layers[0].transform`, "" for the whole. `label`: its registered
    name, else its class's. `options`: those that differ from the default, components left out. `shape`: [C, *S] of what
    it gives for one image, where that is known. `parameters`: how many numbers it learns; nothing is counted twice, and
    None is for layers that have not seen an input. `shared`: the path of its first use, where it was met before.
    """

    name: str
    label: str
    options: dict[str, Any]
    shape: Shape | None
    parameters: int | None
    id: str | None = None
    shared: str | None = None
    children: tuple["Node", ...] = ()

    @property
    def place(self) -> str:
        """The last part of the component's path."""
        return self.name.rpartition(".")[2]

    @property
    def summary(self) -> str:
        """The label and the options as short text."""
        return " ".join((self.label, *(f"{key}={written(value)}" for key, value in self.options.items())))


@not_too_deep("outline")
def outline(module: nn.Module, inputs: dict[str, Shape] | None = None) -> Node:
    """The tree of a module's components; one that a plugin makes for itself is not shown.

    `inputs`: the shapes [C, *S] of one image by name, in the order in which the module takes them; without them no
    shape is known. The module itself is neither run nor changed.

    Raises `InputError` where such images do not fit.

    >>> outline(nn.Sequential(nn.Flatten(), nn.Linear(9, 2)), {"image": (1, 3, 3)}).children[1].shape
    (2,)
    """
    if inputs is None:
        return _Outliner({}).node(module, "", None)
    copied, shapes = _run(module, list(inputs.values()))
    return _Outliner(shapes).node(copied, "", None)


_Calls = dict[tuple[nn.Module | None, nn.Module], list[Shape | None]]  # (who called, who was called) → what it gave


class _Outliner:
    def __init__(self, calls: _Calls) -> None:
        self.calls = calls
        self.visits: dict[tuple[nn.Module | None, nn.Module], int] = defaultdict(int)
        self.first: dict[nn.Module, str] = {}
        self.counted: set[Tensor] = set()

    def node(self, module: nn.Module, path: str, caller: nn.Module | None) -> Node:
        """The node of a module. `caller` is the nearest component around it that is called as a module."""
        called = self.calls.get((caller, module), [])
        visit = self.visits[caller, module]
        self.visits[caller, module] += 1
        sampled = isinstance(module, Transform | Kernel)  # points and weights have no shape [C, *S]
        shape = called[min(visit, len(called) - 1)] if called and not sampled else None
        label, options, parts = described(module)
        if path.endswith("regression") and isinstance(module, nn.Linear):  # its width follows from the transform's
            label, options = "Linear", {"out_features": module.out_features}
        elif path.endswith("regression") and isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            label, options = f"Conv{len(module.kernel_size)}d", {"out_channels": module.out_channels, "kernel_size": 3}
        id = label_of(module)
        if module in self.first:
            return Node(path, label, options, shape, 0, id, self.first[module])
        self.first[module] = path
        new = [p for p in module.parameters() if p not in self.counted]
        count = None if any(map(is_lazy, new)) else sum(p.numel() for p in new)
        caller = module if called else caller
        children = [self.node(part, f"{path}.{name}" if path else name, caller) for name, part in parts]
        self.counted.update(new)
        if isinstance(module, Network):
            children = [_routed(child, route) for child, route in zip(children, module.theta_from, strict=True)]
        return Node(path, label, options, shape, count, id, None, tuple(children))


def _routed(layer: Node, route: tuple[str, ...] | None) -> Node:
    return layer if route is None else replace(layer, options=layer.options | {"theta_from": list(route)})


def described(module: nn.Module) -> tuple[str, dict[str, Any], list[tuple[str, nn.Module]]]:
    """The registered name, the plain options that differ from the default, and the components by their paths."""
    registry = registry_for(module)
    name = (registry and name_of(registry, type(module))) or type(module).__name__
    defaults = inspect.signature(type(module).__init__).parameters
    plain: dict[str, Any] = {}
    parts: list[tuple[str, nn.Module]] = []
    for option, value in described_options(module).items():
        several = list(value) if isinstance(value, list | tuple) else []
        if isinstance(value, nn.Module):
            parts.append((option, value))
        elif several and all(isinstance(part, nn.Module) for part in several):
            parts += [(f"{option}[{i}]", part) for i, part in enumerate(several)]
        elif option not in inferred_of(module) and (
            option not in defaults or _data(value) != _data(defaults[option].default)
        ):
            plain[option] = _data(value)
    if isinstance(module, SpatialTransformer):
        order = ("localization", "regression", "transform", "kernel")
        parts = sorted([*parts, ("regression", module.regression)], key=lambda it: order.index(it[0].partition("[")[0]))
    return name, plain, parts


def written(value: Any) -> str:
    """The text of an option's value as it stands in a spec.

    >>> written((3, 3)), written(True), written("zeros")
    ('[3, 3]', 'true', 'zeros')
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{k} = {written(v)}' for k, v in value.items())}}}"
    return (
        str(value).lower()
        if isinstance(value, bool | None)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _data(value: Any) -> Any:
    """The value with tuples and tensors as lists."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return [_data(v) for v in value] if isinstance(value, list | tuple) else value


def _run(module: nn.Module, shapes: list[Shape]) -> tuple[nn.Module, _Calls]:
    """A copy that has seen one image of each shape, and the shapes that each of its components gave.

    On the meta device, without numbers; on the CPU where that fails and takes little.
    """
    try:
        return _run_on("meta", module, shapes)
    except Exception:  # something in it looks at numbers
        pass
    try:
        return _run_on("cpu", module, shapes)
    except Exception as error:
        given = listed(str(list(shape)) for shape in shapes)
        raise InputError(f"images of {given} do not fit: {reason(error)}", path="inputs") from error


@torch.no_grad()
def _run_on(device: str, module: nn.Module, shapes: list[Shape]) -> tuple[nn.Module, _Calls]:
    copied = (on_meta(module) if device == "meta" else copy.deepcopy(module).to(device)).eval()
    calls: _Calls = defaultdict(list)
    stack: list[nn.Module | None] = [None]

    def enter(module: nn.Module, given: Any) -> None:
        stack.append(module)

    def leave(module: nn.Module, given: Any, result: Any) -> None:
        stack.pop()
        calls[stack[-1], module].append(tuple(result.shape[1:]) if isinstance(result, Tensor) else None)

    for part in set(_all(copied)):
        part.register_forward_pre_hook(enter)
        part.register_forward_hook(leave)
    with few_steps(copied), Cost() if device == "meta" else Bounded():
        copied(*(torch.zeros(1, *shape, device=device) for shape in shapes))
    return copied, dict(calls)


def _all(module: nn.Module) -> Iterator[nn.Module]:
    """The module and its components that are shown, at any depth."""
    yield module
    for _, part in described(module)[2]:
        yield from _all(part)
