"""From a spec to a module; every mistake in the spec is named by its path, all of them at once."""

import math
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from warpkit.component import inputs_of, note_inputs
from warpkit.distribution import to_upgrade
from warpkit.errors import quoted, require, unknown
from warpkit.modules.base import modules
from warpkit.modules.network import WARPED, Network
from warpkit.quoting import Told, listed, shown
from warpkit.spec.components import Components, Shapes
from warpkit.spec.mistakes import TooManyError, not_too_deep, under
from warpkit.spec.read import overridden, read
from warpkit.spec.thrifty import on_meta
from warpkit.spec.trial import NeedsNumbersError, Shape, initialise

__all__ = ["build", "inputs_of", "planned"]

VERSION = 1
_ONE = "input"  # the name of the only image
_TOP = ("version", "input", "inputs", "$schema")
_LARGEST = 10**9  # numbers of one image


@not_too_deep("spec")
def build(spec: dict[str, Any] | str | Path, overrides: Mapping[str, Any] | None = None) -> nn.Module:
    """Build the module that a spec describes.

    Args:
        spec: a dict, or the path of a TOML, YAML or JSON file. It holds `layers`, or `type` and the options of one
            module; with `input`, the shape [C, *S] of one image, or `inputs`, a shape for each name, the widths of
            every layer are inferred and none is left lazy.
        overrides: path → value, such as `{"layers.0.transform.type": "projective"}`.

    Raises:
        InputError: names each mistake by its path, such as `layers[0].transform.grid`. Sizes that do not fit are found
            before the weights are made.

    >>> build({"version": 1, "input": [1, 28, 28], "layers": ["Flatten", {"type": "Linear", "out_features": 10}]})[1]
    Linear(in_features=784, out_features=10, bias=True)
    """
    plan = planned(spec, overrides)
    builder = _Builder(plan.inferred, plan.routes)
    made = builder.build(plan.table, plan.shapes)
    builder.raise_mistakes()
    assert made is not None
    initialise(made, plan.lazy)
    return made


class Plan:
    """The result of trying a spec: its data, the module on `meta` (or with numbers), and whatever was inferred.

    `whole` is the module on `meta` with the weights that its lazy layers will have.
    """

    def __init__(self, table: dict[str, Any], builder: "_Builder", module: nn.Module, shapes: Shapes | None) -> None:
        self.table, self.module, self.shapes = table, module, shapes
        self.inferred, self.routes, self.lazy = builder.inferred, builder.routes, builder.lazy
        self.whole = on_meta(module)
        initialise(self.whole, self.lazy)


@not_too_deep("spec")
def planned(spec: dict[str, Any] | str | Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Try a spec without the memory that its module would take; raises as `build` does."""
    table = dict(overridden(read(spec), overrides or {}))
    try:
        plan = _tried(table, numbers=False)
    except NeedsNumbersError:
        plan = _tried(table, numbers=True)
    for name, shape in (plan.shapes or {}).items():
        if len(shape) == 4 and shape[1] == 1:
            told = "input" if name == _ONE else f"inputs.{name}"
            hint = f"A batch axis is not written: did you mean {list(shape[1:])}?"
            warnings.warn(f"{told}: {list(shape)} is read as a volume [C, D, H, W] of depth 1. {hint}", stacklevel=5)
    return plan


def _tried(table: dict[str, Any], numbers: bool) -> Plan:
    builder = _Builder(numbers=numbers, tries=True)
    made = shapes = None
    with torch.random.fork_rng(devices=[]), suppress(TooManyError):
        builder.check_version(table.get("version", VERSION))
        shapes = builder.shapes(table)
        made = builder.build(table, shapes)
        if not builder.mistakes and made is not None and shapes:
            builder.run_whole(made, shapes)
    builder.raise_mistakes()
    assert made is not None
    plan = Plan(table, builder, made, shapes)
    _check_memory(plan.whole)
    return plan


def _check_memory(module: nn.Module) -> None:
    named: list[tuple[str, Tensor]] = [*module.named_parameters(), *module.named_buffers()]
    sizes = {name: t.numel() * t.element_size() for name, t in named if not is_lazy(t)}
    size = sum(sizes.values())
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # another system
        return
    largest = shown(max(sizes, key=lambda name: sizes[name], default=""))
    told = f"its weights need {size / 1e9:.0f} GB ({largest} most), and this machine has {most / 1e9:.0f}"
    require(size < 0.75 * most, told, path="spec")


class _Builder(Components):
    """The builder of a whole spec: version, inputs and layers."""

    def check_version(self, given: Any) -> None:
        """Complain about another version, which may say the same in other words."""
        if type(given) is int and given > VERSION:
            self.complain("version", expected=f"{VERSION}", given=given, hint=to_upgrade())
        elif type(given) is not int or given != VERSION:
            self.complain("version", expected=f"{VERSION}", given=given)

    def shapes(self, table: dict[str, Any]) -> Shapes | None:
        """The shape of one image of each input; None where they are not given."""
        if "inputs" not in table:
            shape = self._shape("input", table["input"]) if "input" in table else None
            return {_ONE: shape} if shape else None
        given = table["inputs"]
        if "input" in table:
            self.complain("input", "beside `inputs`: one of them is enough")
        if not isinstance(given, dict) or not given or not all(isinstance(name, str) for name in given):
            self.complain("inputs", expected="a table: a name and a shape [C, *S] for each image", given=given)
            return None
        if WARPED in given:
            self.complain(f"inputs.{WARPED}", "this is the name of the first image, as it is warped so far")
        found = {name: self._shape(under("inputs", name), shape) for name, shape in given.items()}
        return found if all(found.values()) else None  # type: ignore[return-value]

    def _shape(self, path: str, given: Any) -> Shape | None:
        axes = isinstance(given, list | tuple) and 1 <= len(given) <= 4
        if axes and all(type(n) is int and 0 < n < 2**31 for n in given):
            if math.prod(given) <= _LARGEST:
                return tuple(given)
            self.complain(path, expected=f"an image of at most {_LARGEST:.0e} numbers", given=given)
            return None
        several = "several images are `inputs`" if path == _ONE and isinstance(given, dict) else ""
        self.complain(path, expected="the shape of one image, [C, *S]", given=given, hint=several)
        return None

    def build(self, table: dict[str, Any], shapes: Shapes | None) -> nn.Module | None:
        """The module of the whole spec, or None where there are mistakes."""
        self._is_sized = "input" in table or "inputs" in table
        if "inputs" in table:
            self._inputs = shapes or {}
        table = {key: value for key, value in table.items() if key not in _TOP}
        self._given = list((shapes or {}).values())
        shape = self._given[0] if shapes else None
        if self._inputs is not None:
            made: Any = self._network(table, shape)
        elif "type" in table:
            made = self.component(modules, table, "", shape)
            if made is not None and shape is not None and not isinstance(made, nn.Sequential):
                self._shape_after(made, "", [shape])
        else:
            made = self._layers_alone(table, shape)
        if made is None or self.mistakes:
            return None
        if shapes:
            note_inputs(made, shapes)
        return made  # type: ignore[no-any-return]

    def _layers_alone(self, table: dict[str, Any], shape: Shape | None) -> nn.Module | None:
        strays = [key for key in table if key != "layers"]
        for key in strays if "layers" in table else ():
            self.complain(under("", key), unknown("key", key, ["layers", *_TOP[:3]]), then="doubt")
            self._is_sized = True  # it may have meant `input`: what would follow from that is no mistake
        if "layers" not in table:
            told = Told(listed(map(quoted, table), 10) or "nothing")
            near = unknown("key", next(iter(table), ""), ["layers", "type", *_TOP[:3]]) if table else None
            self.complain("layers", "missing", given=told, hint=near.hint if near else "")
            return None
        return self.component(modules, {"type": "sequential", "layers": table["layers"]}, "", shape)  # type: ignore[no-any-return]

    def _network(self, table: dict[str, Any], shape: Shape | None) -> nn.Module | None:
        """The network of several images that `inputs` asks for."""
        layers = table.pop("layers", None)
        for key in table:
            self.complain(under("", key), unknown("key beside `inputs`", key, ["layers", *_TOP[:3]]), then="doubt")
        if not isinstance(layers, list | tuple):
            if layers is None and table:  # one of the other keys may mean it
                return None
            self.complain("layers", expected="a list", given=layers)
            return None
        assert self._inputs is not None
        plain = []
        if self._tries:
            self.routes = []
        for i, layer in enumerate(layers):
            route = layer.get("theta_from") if isinstance(layer, dict) else None
            layer = {k: v for k, v in layer.items() if k != "theta_from"} if isinstance(layer, dict) else layer
            if self._tries:
                self.routes.append(self._route(route, f"layers[{i}].theta_from"))
            plain.append(layer)
        made = self._layers(plain, "layers", shape)
        if self.mistakes or any(layer is None for layer in made):
            return None
        with self.at(""):
            return Network(made, tuple(self._inputs), self.routes)
        return None

    def _route(self, given: Any, path: str) -> tuple[str, ...] | None:
        if given is None:
            return None
        if not isinstance(given, list | tuple) or not given:
            self.complain(path, expected="a list of names", given=given)
            return None
        known = [WARPED, *(self._inputs or ())]
        wrong = [i for i, name in enumerate(given) if not isinstance(name, str) or name not in known]
        for i in wrong:
            self.complain(f"{path}[{i}]", unknown("input", given[i], known))
        return None if wrong else tuple(given)

    def run_whole(self, module: nn.Module, shapes: Shapes) -> None:
        """Run the whole module as it will be used: shared parts meet all inputs, lazy layers are noted with theirs."""
        self._walked.clear()
        self._shape_after(module, "", list(shapes.values()), lazy=self.lazy, cost=self.cost)
