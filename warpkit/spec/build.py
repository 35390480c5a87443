"""A spec becomes a module; every mistake in it is named by its path, all of them at once."""

import copy
import difflib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from warpkit.described import inputs_of, note, note_inputs
from warpkit.errors import InputError, quoted, require, unknown
from warpkit.kernels.base import Kernel
from warpkit.modules.base import modules
from warpkit.modules.network import WARPED, Network
from warpkit.modules.sequential import Sequential
from warpkit.registry import Registry
from warpkit.spec.hints import check, hints_of, input_width, is_offered, registry_of, takes_several
from warpkit.spec.read import overridden, read
from warpkit.spec.thrifty import Thrifty
from warpkit.spec.trial import NeedsNumbersError, Shape, initialise, shape_after
from warpkit.transforms.base import Transform

__all__ = ["build", "inputs_of", "planned"]

VERSION = 1
_ONE = "input"  # the name of the only image
_TOP = ("version", "input", "inputs", "$schema")
Shapes = dict[str, Shape]


def build(spec: dict[str, Any] | str | Path, overrides: Mapping[str, Any] | None = None) -> nn.Module:
    """The module that a spec describes.

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
    """A spec that was tried: its data, the module on `meta` (or with numbers), and what was found out by it."""

    def __init__(self, table: dict[str, Any], builder: "_Builder", module: nn.Module, shapes: Shapes | None) -> None:
        self.table, self.module, self.shapes = table, module, shapes
        self.inferred, self.routes, self.lazy = builder.inferred, builder.routes, builder.lazy


def planned(spec: dict[str, Any] | str | Path, overrides: Mapping[str, Any] | None = None) -> Plan:
    """Tries a spec without the memory that it would take; raises as `build` does."""
    table = dict(overridden(read(spec), overrides or {}))
    try:
        try:
            return _tried(table, numbers=False)
        except NeedsNumbersError:
            return _tried(table, numbers=True)
    except RecursionError as error:
        raise InputError("spec: nested too deeply") from error


def _tried(table: dict[str, Any], numbers: bool) -> Plan:
    builder = _Builder(numbers=numbers, tries=True)
    builder.check_version(table.get("version", VERSION))
    shapes = builder.shapes(table)
    with torch.random.fork_rng(devices=[]):
        made = builder.build(table, shapes)
        if not builder.mistakes and made is not None and shapes:
            builder.run_whole(made, shapes)
    builder.raise_mistakes()
    assert made is not None
    _check_memory(made)
    return Plan(table, builder, made, shapes)


def _check_memory(module: nn.Module) -> None:
    held = [t for t in (*module.parameters(), *module.buffers()) if not is_lazy(t)]
    size = sum(t.numel() * t.element_size() for t in held)
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # another system
        return
    require(size < 0.75 * most, f"spec: its weights need {size / 1e9:.0f} GB, and this machine has {most / 1e9:.0f}")


class _Builder:
    """Builds a spec once: to try it (`tries`), on `meta` where nothing needs `numbers`, or for good."""

    def __init__(
        self,
        inferred: dict[str, dict[str, Any]] | None = None,
        routes: list[tuple[str, ...] | None] | None = None,
        *,
        numbers: bool = False,
        tries: bool = False,
    ) -> None:
        self.mistakes: list[str] = []
        self.inferred = inferred or {}  # path → option → value
        self.routes = routes or []
        self.lazy: dict[str, list[Shape]] = {}
        self._numbers, self._tries = numbers, tries
        self._named: dict[str, Any] = {}
        self._copies: dict[int, Any] = {}
        self._inputs: Shapes | None = None  # of a network of several images
        self._is_sized = False
        self._blocking = 0  # mistakes, and what could not be built for them
        self._doubted = 0  # mistakes behind which nothing is said about shapes
        self._walked: dict[int, tuple[Shape | None, Shape | None]] = {}  # of a sequential: what comes in, and out
        self._last: Shape | None = None

    # ------------------------------------------------------------------------------------------ the top of a spec

    def raise_mistakes(self) -> None:
        """All of them in one `InputError`."""
        if self.mistakes:
            raise InputError("spec: " + "\n      ".join(dict.fromkeys(self.mistakes)))

    def complain(self, path: str, message: str, *, then: str = "stop") -> None:
        """`then`: "doubt" where it can be built all the same, "go on" where even its shape is known: what else is wrong
        is told, too.
        """
        self.mistakes.append(f"{path}: {message}" if path else message)
        self._blocking += then == "stop"
        self._doubted += then != "go on"

    def check_version(self, given: Any) -> None:
        """A spec of another version may say the same in other words."""
        if type(given) is int and given > VERSION:
            self.complain(
                "version", f"got {quoted(given)}, this warpkit reads {VERSION}: pip install --upgrade warpkit"
            )
        elif type(given) is not int or given != VERSION:
            self.complain("version", f"got {quoted(given)}, expected {VERSION}")

    def shapes(self, table: dict[str, Any]) -> Shapes | None:
        """Of one image of each input; None where they are not given."""
        if "inputs" not in table:
            shape = self._shape("input", table["input"]) if "input" in table else None
            return {_ONE: shape} if shape else None
        given = table["inputs"]
        if "input" in table:
            self.complain("input", "beside `inputs`: one of them is enough")
        if not isinstance(given, dict) or not given or not all(isinstance(name, str) for name in given):
            self.complain("inputs", f"got {quoted(given)}, expected a table: a name and a shape [C, *S] for each image")
            return None
        if WARPED in given:
            self.complain(f"inputs.{WARPED}", "this is the name of the first image, as it is warped so far")
        found = {name: self._shape(f"inputs.{name}", shape) for name, shape in given.items()}
        return found if all(found.values()) else None  # type: ignore[return-value]

    def _shape(self, path: str, given: Any) -> Shape | None:
        listed = isinstance(given, list | tuple) and 1 <= len(given) <= 4
        if listed and all(type(n) is int and 0 < n < 2**31 for n in given):
            return tuple(given)
        several = " (several images are `inputs`)" if path == _ONE and isinstance(given, dict) else ""
        self.complain(path, f"got {quoted(given)}, expected the shape of one image, [C, *S]{several}")
        return None

    def build(self, table: dict[str, Any], shapes: Shapes | None) -> nn.Module | None:
        """The whole module, or None where there are mistakes."""
        self._is_sized = "input" in table or "inputs" in table
        if "inputs" in table:
            self._inputs = shapes or {}
        table = {key: value for key, value in table.items() if key not in _TOP}
        shape = next(iter(shapes.values())) if shapes else None
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
            self.complain(str(key), str(unknown("key", key, ["layers", *_TOP[:3]])), then="doubt")
            self._is_sized = True  # it may have meant `input`: what would follow from that is no mistake
        if "layers" not in table:
            told = ", ".join(map(repr, map(str, table))) or "nothing"
            near = unknown("key", next(iter(table), ""), ["layers", "type", *_TOP[:3]]) if table else ""
            self.complain("layers", f"missing; got {told}" + (f" ({near})" if near else ""))
            return None
        return self.component(modules, {"type": "sequential", "layers": table["layers"]}, "", shape)  # type: ignore[no-any-return]

    def _network(self, table: dict[str, Any], shape: Shape | None) -> nn.Module | None:
        """A network of several images."""
        layers = table.pop("layers", None)
        for key in table:
            self.complain(str(key), str(unknown("key beside `inputs`", key, ["layers", *_TOP[:3]])), then="doubt")
        if not isinstance(layers, list | tuple):
            if layers is None and table:  # one of the other keys may mean it
                return None
            self.complain("layers", f"expected a list, got {quoted(layers)}")
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
        with self._at(""):
            return Network(made, tuple(self._inputs), self.routes)
        return None

    def _route(self, given: Any, path: str) -> tuple[str, ...] | None:
        if given is None:
            return None
        if not isinstance(given, list | tuple) or not given:
            self.complain(path, f"got {quoted(given)}, expected a list of names")
            return None
        known = [WARPED, *(self._inputs or ())]
        wrong = [i for i, name in enumerate(given) if not isinstance(name, str) or name not in known]
        for i in wrong:
            self.complain(f"{path}[{i}]", str(unknown("input", given[i], known)))
        return None if wrong else tuple(given)

    # -------------------------------------------------------------------------------------------- components

    def component(
        self, registry: Registry[Any], given: Any, path: str, shape: Shape | None, seen: Shape | None = None
    ) -> Any:
        """A transform, kernel or module; None where it could not be built, with a complaint.

        `seen`: what its own networks see, where that is not the input.
        """
        if _is_a(registry, given):
            return self._copied(given)
        if isinstance(given, dict) and "use" in given:
            return self._used(registry, given, path)
        if isinstance(given, dict) and "type" not in given:
            self.complain(_below(path, "type"), f"missing: the name of a {registry.kind}")
            return None
        before = self._blocking
        with self._at(path):
            name, table = registry._parse(given)
            table = dict(table)
            label = table.pop("id", None)
            require(
                label is None or (isinstance(label, str) and label != ""), f"id: expected a name, got {quoted(label)}"
            )
            cls = registry.load(name)
            options = self._options(registry, name, cls, table, path, shape, seen)
            if self._blocking == before and options is not None:
                with self._at(path, options), self._thriftily(registry):
                    made = registry.create(name, **options)
                    if cls is Sequential:
                        self._walked[id(made)] = shape, self._last
                    note(made, label=label, inferred=set(self.inferred.get(path, ())))
                    if label is not None:
                        if label in self._named:
                            self.complain(f"{path}.id" if path else "id", f"{label!r} is taken")
                        self._named[label] = made
                    return made
            elif label is not None:
                self._named.setdefault(label, None)  # what uses it has no mistake of its own
        self._blocking += 1
        return None

    def _thriftily(self, registry: Registry[Any]) -> Any:
        small = self._tries and not self._numbers and registry is modules
        return Thrifty() if small else nullcontext()

    def _copied(self, given: Any) -> Any:
        """An object that was given; a copy of it where the spec is only tried."""
        if not self._tries or not isinstance(given, nn.Module):
            return given
        if id(given) not in self._copies:
            self._copies[id(given)] = given, copy.deepcopy(given)  # kept, so that its id is nobody else's
        return self._copies[id(given)][1]

    def _used(self, registry: Registry[Any], given: dict[str, Any], path: str) -> Any:
        name = given["use"]
        made = self._named.get(name) if isinstance(name, str) else None
        if not isinstance(name, str) or name not in self._named:
            known = [label for label in self._named if isinstance(label, str)]
            self.complain(_below(path, "use"), str(unknown("id", name, known)))
        elif len(given) > 1:
            self.complain(path, f"`use` stands alone, got {', '.join(map(str, given))}")
        elif made is not None and not _is_a(registry, made):
            self.complain(path, f"{name!r} is no {registry.kind}")
            return None
        return made

    def _options(
        self,
        registry: Registry[Any],
        name: str,
        cls: type,
        table: dict[str, Any],
        path: str,
        shape: Shape | None,
        seen: Shape | None,
    ) -> dict[str, Any] | None:
        """The constructor's arguments: components built, plain values checked, widths inferred.

        None where a width is missing that would follow from the input, were nothing before it wrong.
        """
        known = {k: p for k, p in registry.options(name).items() if is_offered(k, p)}
        hints = hints_of(cls)
        made: dict[str, Any] = {}
        for option in sorted(table, key=lambda option: list(known).index(option) if option in known else -1):
            value, where = table[option], _below(path, option)
            if option not in known:
                if not takes_any(registry.options(name)):
                    self.complain(
                        where, str(unknown(f"option of {registry.kind} {name!r}", option, known)), then="doubt"
                    )
                else:
                    made[option] = value
                continue
            kind = registry_of(hints.get(option))
            below = seen if seen is not None and kind is modules else shape
            if value is None and known[option].default is not None:
                self.complain(where, "got None: leave it out for its default")
            elif cls is Sequential and option == "layers":
                if isinstance(value, list | tuple):
                    made[option] = self._layers(value, where, shape)
                else:
                    self.complain(where, f"got {quoted(value)}, expected a list")
            elif kind is not None and isinstance(value, list | tuple) and takes_several(hints[option]):
                made[option] = [self.component(kind, part, f"{where}[{i}]", below) for i, part in enumerate(value)]
            elif kind is not None:
                made[option] = self.component(kind, value, where, below)
            else:
                with self._at(where):
                    made[option] = check(option, hints.get(option, Any), value, is_torch_s(cls))
        for option, value in self._follows(cls, known, hints, table, path, shape).items():
            made[option] = value
        missing = [k for k, p in known.items() if p.default is p.empty and k not in made and k not in table]
        unknown_yet = self._is_sized and shape is None  # something before it is wrong: a width would follow
        strays = [str(option) for option in table if option not in known]
        for option in missing:
            follows = unknown_yet and input_width(option, (1, 1)) is not None
            if not follows and not difflib.get_close_matches(option, strays):  # a name that is mistyped is told already
                self.complain(path or name, f"needs {option}")
        return None if missing else made

    def _follows(
        self,
        cls: type,
        known: Mapping[str, inspect.Parameter],
        hints: Mapping[str, Any],
        table: dict[str, Any],
        path: str,
        shape: Shape | None,
    ) -> dict[str, Any]:
        """What options that are not given take from the input's shape: widths, the number of dimensions."""
        if not self._tries:
            values = dict(self.inferred.get(path, {}))
        else:
            values = {}
            for option, parameter in known.items() if shape is not None else ():
                assert shape is not None
                width = input_width(option, shape) if parameter.default is parameter.empty else None
                if width is None and option == "ndim" and len(shape) > 1:
                    width = len(shape) - 1
                if width is None:
                    continue
                if table.get(option, width) == width:
                    values[option] = width
                elif is_torch_s(cls) and type(table[option]) is int and option != "ndim":
                    told = f"got {table[option]}, expected {width}, which comes in"
                    self.complain(_below(path, option), told, then="go on")
                    values[option] = width
            if values:
                self.inferred[path] = values
        for option, parameter in known.items():
            kind = registry_of(hints.get(option))
            if option not in table and kind is not None and isinstance(parameter.default, str):
                values[option] = self.component(kind, parameter.default, _below(path, option), shape)
        return values

    # ------------------------------------------------------------------------------------------------ shapes

    def _layers(self, layers: Sequence[Any], path: str, shape: Shape | None) -> list[Any]:
        made = []
        routes = self.routes if path == "layers" and self._inputs is not None else []
        for i, given in enumerate(layers):
            before = self._doubted
            route = routes[i] if i < len(routes) else None
            seen = self._joined(route, shape, f"{path}[{i}].theta_from") if route and shape is not None else None
            layer = self.component(modules, given, f"{path}[{i}]", shape, seen)
            if route and layer is not None and "theta_from" not in inspect.signature(layer.forward).parameters:
                self.complain(f"{path}[{i}].theta_from", f"{type(layer).__name__} takes none: it has no θ")
                layer = None
            made.append(layer)
            if shape is not None and self._tries:
                # Behind a layer that could not be built nothing can be said about shapes.
                fine = self._doubted == before and layer is not None
                shape = self._shape_after(layer, f"{path}[{i}]", [shape], seen) if fine else None
        self._last = shape
        return made

    def _joined(self, route: tuple[str, ...], shape: Shape, path: str) -> Shape | None:
        """The shape of several images joined along channels."""
        found = [shape if name == WARPED else (self._inputs or {}).get(name, shape) for name in route]
        if len({s[1:] for s in found}) != 1:
            told = ", ".join(f"{name} {list(s)}" for name, s in zip(route, found, strict=True))
            self.complain(path, f"images of one size are joined, got {told}")
            return None
        return (sum(s[0] for s in found), *found[0][1:])

    def _shape_after(
        self, module: nn.Module, path: str, shapes: Sequence[Shape], seen: Shape | None = None, **more: Any
    ) -> Shape | None:
        """The shape that a module makes of others."""
        if not self._tries:
            return None
        before, after = self._walked.get(id(module), (None, None))
        if [before] == list(shapes):  # layer by layer, while it was built
            return after
        try:
            return shape_after(module, shapes, seen, numbers=self._numbers, **more)
        except InputError as error:
            told = ", ".join(str(list(shape)) for shape in shapes)
            child = getattr(error, "child", "")
            if not path and child.isdigit() and isinstance(module, nn.Sequential):
                self.complain(f"layers[{child}]", f"as it is used in the whole: {error}")
                return None
            self.complain(path, f"does not fit an input of shape {told}: {error}")
            return None

    def run_whole(self, module: nn.Module, shapes: Shapes) -> None:
        """As it will be used: what is shared meets all its inputs, and lazy layers are noted with what they see."""
        self._walked.clear()
        self._shape_after(module, "", list(shapes.values()), lazy=self.lazy)

    @contextmanager
    def _at(self, path: str, options: dict[str, Any] | None = None) -> Iterator[None]:
        """An `InputError` inside becomes a complaint at `path`, or at the option that its message begins with."""
        try:
            yield
        except InputError as error:
            message = str(error)
            about = re.match(r"(?:unknown )?(\w+)(: )?", message)
            if options is not None and about and about[1] in options:
                path = _below(path, about[1])
                message = message[about.end() :] if about[2] else message
            self.complain(path, message)
        except NeedsNumbersError:
            raise
        except RecursionError:
            raise
        except Exception as error:  # whatever a stranger's constructor does
            if self._tries and not self._numbers and "meta" in str(error):
                raise NeedsNumbersError from error
            self.complain(path, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")


def _is_a(registry: Registry[Any], given: Any) -> bool:
    """Whether this is an object of the registry's kind; a transform or a kernel is no layer."""
    return isinstance(given, registry.base) and not (registry is modules and isinstance(given, Kernel | Transform))


def is_torch_s(cls: type) -> bool:
    """Whether a layer is one of torch.nn, whose options are known."""
    return cls.__module__.startswith("torch.nn.")


def takes_any(options: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a constructor takes options by any name."""
    return any(p.kind is p.VAR_KEYWORD for p in options.values())


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
