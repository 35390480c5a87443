"""From a module to a spec: the shortest one from which `build` makes such a module."""

import enum
import inspect
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from warpkit.component import inferred_of, inputs_of, label_of, options_of
from warpkit.errors import InputError, at, require
from warpkit.kernels.base import Kernel
from warpkit.modules.network import Network
from warpkit.quoting import listed, shown
from warpkit.registry import Registry
from warpkit.spec.build import VERSION, Plan, planned
from warpkit.spec.hints import KINDS, hints_of, is_offered, registry_of
from warpkit.spec.mistakes import not_too_deep, under
from warpkit.transforms.base import Transform

_RUNNING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_TOLD = 50  # mistakes
_ONE_FOR_ALL = ("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size")


def to_spec(module: nn.Module) -> dict[str, Any]:
    """The shortest spec from which `build` makes such a module.

    It leaves out what equals its default and what follows from `input`; what is used twice has an `id` at its first
    use. Weights are not in it: see `save`.

    Raises `InputError` that names every part that no spec can say: a class without a registered name, an option that
    is a function, parameters shared between two modules.

    >>> from warpkit.spec.build import build
    >>> to_spec(build({"input": [1, 28, 28], "layers": ["Flatten", {"type": "Linear", "out_features": 10}]}))
    {'version': 1, 'input': [1, 28, 28], 'layers': ['Flatten', {'type': 'Linear', 'out_features': 10}]}
    """
    return spec_and_plan(module)[0]


@not_too_deep("to_spec")
def spec_and_plan(module: nn.Module) -> tuple[dict[str, Any], Plan]:
    """The spec of `to_spec`, and the plan that was made when it was tried."""
    named = isinstance(module, nn.Module) and not isinstance(module, Kernel | Transform)
    require(named, "to_spec", expected="a network or a layer", given=module)
    spec = _Writer().whole(module)
    with at("to_spec: no spec describes this module"):
        plan = planned(spec)
        check_weights(weights_of(plan.module), weights_of(module))
    return spec, plan


def normalize_spec(spec: dict[str, Any] | str | Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The same spec in its shortest form, that of `to_spec(build(spec))`; arguments and errors as in `build`.

    >>> normalize_spec({"layers": [{"type": "ReLU", "inplace": False}]})
    {'version': 1, 'layers': ['ReLU']}
    """
    return to_spec(planned(spec, overrides).module)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """The entries of a module's state_dict; each tensor of a shared module is there once."""
    state = module.state_dict()
    for name, value in state.items():
        require(isinstance(value, Tensor), shown(name), expected="a tensor", given=value)
    held = dict(module.named_parameters()) | dict(module.named_buffers())
    return {name: tensor for name, tensor in held.items() if name in state}


def check_weights(expected: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    """Raise `InputError` unless the weights have the names, shapes and kinds that the spec's module has."""
    for what, names in (("lacks", expected.keys() - weights.keys()), ("has besides", weights.keys() - expected.keys())):
        require(not names, f"{what} {listed(sorted(names), 5)}")
    for name, given in weights.items():
        known, place = expected[name], shown(name)
        if not is_lazy(known):
            require(given.shape == known.shape, place, expected=f"{list(known.shape)}", given=list(given.shape))
        same_kind = given.is_floating_point() == known.is_floating_point() and not given.is_complex()
        require(same_kind, place, expected=f"{known.dtype}", given=given.dtype)


def check_types(expected: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
    """Raise `InputError` for weights that could be loaded and not run: of float8, or of several types for one."""
    became: dict[Any, tuple[str, Any]] = {}
    for name, given in weights.items():
        runs = not given.is_floating_point() or given.dtype in _RUNNING
        require(runs, f"{shown(name)} is {given.dtype}, which cannot run")
        first, dtype = became.setdefault(expected[name].dtype, (name, given.dtype))
        told = f"{shown(name)} is {given.dtype} and {shown(first)} {dtype}: such a mixture cannot run"
        require(given.dtype == dtype, told)


class _Writer:
    def __init__(self) -> None:
        self._mistakes: list[InputError] = []
        self._count: Counter[int] = Counter()
        self._labels: dict[int, str] = {}
        self._is_sized = False

    def whole(self, module: nn.Module) -> dict[str, Any]:
        """The spec of a module, with its version and inputs at the top."""
        inputs = inputs_of(module)
        self._is_sized = inputs is not None
        self._look(module)
        spec: dict[str, Any] = {"version": VERSION}
        if isinstance(module, Network):
            spec["inputs"] = {name: list((inputs or {}).get(name, ())) for name in module.inputs}
            if inputs is None:
                self._complain("inputs", "their shapes are not known", hint="build it from a spec")
            layers = [self._written(layer, f"layers[{i}]") for i, layer in enumerate(module)]
            for i, route in enumerate(module.theta_from):
                if route is not None:
                    table = layers[i] if isinstance(layers[i], dict) else {"type": layers[i]}
                    layers[i] = {**table, "theta_from": list(route)}
            spec["layers"] = layers
        else:
            if inputs is not None:
                spec["input"] = list(next(iter(inputs.values())))
            table = self._written(module, "")
            table = {"type": table} if isinstance(table, str) else table
            spec |= {"layers": table.get("layers", [])} if _is_sequential(table) else table
        if self._mistakes:
            more = [InputError("and more")] if len(self._mistakes) > _TOLD else []
            raise InputError(path="to_spec", mistakes=self._mistakes[:_TOLD] + more)
        return spec

    def _complain(self, path: str, what: str = "", **facts: Any) -> None:
        self._mistakes.append(InputError(what, path=path, **facts))

    def _look(self, made: Any) -> None:
        """Count how often each component is used."""
        self._count[id(made)] += 1
        if self._count[id(made)] == 1:
            for part in _parts_of(made):
                self._look(part)

    def _written(self, made: Any, path: str) -> Any:
        """The entry of a component in the spec: a name, a table, or the use of one that was written before."""
        if id(made) in self._labels:
            return {"use": self._labels[id(made)]}
        registry = registry_for(made)
        name = None if registry is None else name_of(registry, type(made))
        if registry is None or name is None:
            self._complain(path or "the module", f"{shown(type(made).__name__)} has no registered name")
            return ""
        table: dict[str, Any] = {"type": name}
        if self._count[id(made)] > 1:
            table["id"] = self._labels[id(made)] = self._label(made, name)
        options = described_options(made)
        known = {k: p for k, p in registry.options(name).items() if is_offered(k, p)}
        for option in sorted(options, key=lambda option: list(known).index(option) if option in known else -1):
            if option in inferred_of(made) and self._is_sized:
                continue
            where = under(path, option)
            value = self._value(options[option], where)
            default = known[option].default if option in known else inspect.Parameter.empty
            if default is inspect.Parameter.empty or not _equal(value, default):
                if value is None:
                    self._complain(where, "None cannot be written, and is not the default")
                table[option] = value
        return name if len(table) == 1 else table

    def _value(self, value: Any, path: str) -> Any:
        if isinstance(value, Kernel | Transform | nn.Module):
            return self._written(value, path)
        if isinstance(value, Tensor | np.ndarray | np.generic):
            return value.tolist()
        if isinstance(value, list | tuple):
            if any(part is None for part in value):
                self._complain(path, "None cannot be written", given=value)
            return [self._value(part, f"{path}[{i}]") for i, part in enumerate(value)]
        if isinstance(value, enum.Enum):
            return value.value
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self._value(part, under(path, key)) for key, part in value.items()}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        self._complain(path, expected="plain data", given=value)
        return None

    def _label(self, made: Any, name: str) -> str:
        wanted = label_of(made) or name
        taken = set(self._labels.values())
        tried = (f"{wanted}{n}" for n in range(2, len(taken) + 3))
        return wanted if wanted not in taken else next(label for label in tried if label not in taken)


def _is_sequential(table: dict[str, Any]) -> bool:
    return table["type"] == "sequential" and table.keys() <= {"type", "layers"}


def _parts_of(made: Any) -> Iterator[Any]:
    """The components among the options, in reading order."""
    for value in described_options(made).values():
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, Kernel | Transform | nn.Module):
                yield part


def described_options(made: Any) -> dict[str, Any]:
    """The options in the order of the constructor; one given as a name is the component that it became."""
    if type(made) is nn.Sequential:
        return {"layers": list(made)}
    given = options_of(made)
    if given is None:
        given = _from_attributes(made)
    hints = hints_of(type(made))
    found = {}
    for option, value in given.items():
        kind = registry_of(hints.get(option))
        held = getattr(made, option, None)
        if kind is not None and isinstance(held, kind.base) and not isinstance(held, nn.ModuleList):
            value = held
        elif kind is not None and isinstance(value, str | dict):
            value = kind.own(value)
        found[option] = value
    order = [option for option in inspect.signature(type(made).__init__).parameters if option in found]
    return {option: found[option] for option in [*order, *(found.keys() - set(order))]}


def _from_attributes(made: nn.Module) -> dict[str, Any]:
    """The options of a layer of torch.nn, which keeps each as an attribute of that name."""
    options: dict[str, Any] = {}
    for option, parameter in inspect.signature(type(made).__init__).parameters.items():
        if option == "bias" and getattr(made, "affine", getattr(made, "elementwise_affine", True)) is False:
            continue  # a norm without weights has no bias, whatever was asked for
        if option == "self" or not is_offered(option, parameter) or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        value = getattr(made, option, parameter.default)
        if isinstance(value, nn.Parameter) or (option == "bias" and value is None):
            value = value is not None
        if isinstance(value, tuple) and option in _ONE_FOR_ALL and len(set(value)) == 1:
            value = value[0]
        if value is not parameter.empty:
            options[option] = value
    if options.get("stride") == options.get("kernel_size") and "Pool" in type(made).__name__:
        options.pop("stride", None)  # which is its default
    return options


def registry_for(made: Any) -> Registry[Any] | None:
    """The registry of the component's kind, or None."""
    for base, registry in KINDS:
        if isinstance(made, base):
            return registry
    return None


def name_of(registry: Registry[Any], cls: type) -> str | None:
    """The first name under which this very class is registered, or None. Nothing is imported for it."""
    if cls is nn.Sequential:
        return "sequential"
    for name in registry.names():
        places = {entry.value.partition(":")[0] for entry in registry.entries(name)}
        if places <= sys.modules.keys() or name in registry._registered:
            try:
                if registry.load(name) is cls:
                    return name
            except InputError:
                continue
    return None


def _equal(value: Any, default: Any) -> bool:
    plain = _plain(default)
    return type(value) is type(plain) and bool(value == plain)


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
