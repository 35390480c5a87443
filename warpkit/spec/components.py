"""Transforms, kernels and modules, built from the tables that describe them, and the shapes that pass through."""

import copy
import difflib
import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from torch import nn

from warpkit.component import note
from warpkit.errors import InputError, quoted, require, unknown
from warpkit.kernels.base import Kernel
from warpkit.modules.base import modules
from warpkit.modules.network import WARPED
from warpkit.modules.sequential import Sequential
from warpkit.quoting import Told, listed
from warpkit.registry import Registry
from warpkit.spec.cost import Bounded, Cost
from warpkit.spec.hints import check, hints_of, input_width, is_offered, registry_of, takes_several
from warpkit.spec.mistakes import Mistakes, TooManyError, under
from warpkit.spec.thrifty import Thrifty
from warpkit.spec.trial import NeedsNumbersError, Shape, batch_hint, shape_after
from warpkit.transforms.base import Transform

Shapes = dict[str, Shape]
_MOST = 1000  # components of a spec


class Components(Mistakes):
    """A builder of components: to try them (`tries`), on `meta` where nothing needs `numbers`, or for good."""

    def __init__(
        self,
        inferred: dict[str, dict[str, Any]] | None = None,
        routes: list[tuple[str, ...] | None] | None = None,
        *,
        numbers: bool = False,
        tries: bool = False,
    ) -> None:
        super().__init__()
        self.inferred = inferred or {}  # path → option → value
        self.routes = routes or []
        self.lazy: dict[str, list[Shape]] = {}
        self._numbers, self._tries = numbers, tries
        self._named: dict[str, Any] = {}
        self._copies: dict[int, Any] = {}
        self._count = 0  # of components
        self._searched: set[str] = set()  # kinds for which newly installed packages were looked through
        self.cost, self._bounded = Cost(), Bounded()
        self._inputs: Shapes | None = None  # of a network of several images
        self._given: list[Shape] = []  # the shapes that the spec gives
        self._is_sized = False
        self._walked: dict[int, tuple[Shape | None, Shape | None]] = {}  # of a sequential: what comes in, and out
        self._last: Shape | None = None

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
            self.complain(under(path, "type"), f"missing: the name of a {registry.kind}")
            return None
        before = self.blocking
        self._count += 1
        if self._count > _MOST:
            self.complain(path, f"there are more than {_MOST:,} components before it")
            raise TooManyError
        with self.at(path):
            name, table = registry._parse(given)
            table = dict(table)
            label = table.pop("id", None)
            require(label is None or (isinstance(label, str) and label != ""), "id", expected="a name", given=label)
            cls = self._class(registry, name)
            options = self._options(registry, name, cls, table, path, shape, seen)
            if self.blocking == before and options is not None:
                with self.at(path, options), self._thriftily(registry):
                    made = self._created(registry, name, options)
                    if cls is Sequential:
                        self._walked[id(made)] = shape, self._last
                    note(made, label=label, inferred=set(self.inferred.get(path, ())))
                    if label is not None:
                        if label in self._named:
                            self.complain(f"{path}.id" if path else "id", f"{quoted(label)} is taken")
                        self._named[label] = made
                    return made
            elif label is not None:
                self._named.setdefault(label, None)  # what uses it has no mistake of its own
        self.blocking += 1
        return None

    def _class(self, registry: Registry[Any], name: Any) -> Any:
        """The class of this name. New packages are looked for only once, since that is slow."""
        if isinstance(name, str) and name not in registry.names():
            if registry.kind in self._searched:
                raise unknown(registry.kind, name, registry.names())
            self._searched.add(registry.kind)
        return registry.load(name)

    def _created(self, registry: Registry[Any], name: str, options: dict[str, Any]) -> Any:
        try:
            return registry.create(name, **options)
        except (RuntimeError, NotImplementedError) as error:
            if self._tries and not self._numbers and "meta" in str(error):
                raise NeedsNumbersError from error
            raise

    def _thriftily(self, registry: Registry[Any]) -> Any:
        if not self._tries:
            return nullcontext()
        return self._bounded if self._numbers or registry is not modules else Thrifty()

    def _copied(self, given: Any) -> Any:
        """The object that was given; a copy of it where the spec is only tried."""
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
            self.complain(under(path, "use"), unknown("id", name, known))
        elif len(given) > 1:
            self.complain(path, "`use` stands alone", given=Told(listed(given, 10)))
        elif made is not None and not _is_a(registry, made):
            self.complain(path, f"{quoted(name)} is no {registry.kind}")
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
            value, where = table[option], under(path, option)
            if option not in known:
                if not takes_any(registry.options(name)):
                    of = f"option of {registry.kind} {quoted(name)}"
                    self.complain(where, unknown(of, option, known), then="doubt")
                else:
                    made[option] = value
                continue
            kind = registry_of(hints.get(option))
            below = seen if seen is not None and kind is modules else shape
            if value is None and known[option].default is not None:
                self.complain(where, given=None, hint="leave it out for its default")
            elif cls is Sequential and option == "layers":
                if isinstance(value, list | tuple):
                    made[option] = self._layers(value, where, shape)
                else:
                    self.complain(where, expected="a list", given=value)
            elif kind is not None and isinstance(value, list | tuple) and takes_several(hints[option]):
                made[option] = [self.component(kind, part, f"{where}[{i}]", below) for i, part in enumerate(value)]
            elif kind is not None:
                made[option] = self.component(kind, value, where, below)
            else:
                with self.at(where, {}):  # and of a stranger's hints
                    made[option] = check(option, hints.get(option, Any), value, is_torch_s(cls))
        for option, value in self._follows(cls, known, hints, table, path, shape).items():
            made[option] = value
        missing = [k for k, p in known.items() if p.default is p.empty and k not in made and k not in table]
        unknown_yet = self._is_sized and shape is None  # something before it is wrong: a width would follow
        strays = [str(option)[:80] for option in table if option not in known][:100]
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
        """The options that are not given and follow from the input's shape: widths, the number of dimensions."""
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
                given = table.get(option, width)
                if type(given) is not int:
                    continue
                if given == width:
                    values[option] = width
                elif is_torch_s(cls) and option != "ndim":
                    self.complain(under(path, option), expected=f"{width}, which comes in", given=given, then="go on")
                    values[option] = width
            if values:
                self.inferred[path] = values
        for option, parameter in known.items():
            kind = registry_of(hints.get(option))
            if option not in table and kind is not None and isinstance(parameter.default, str):
                values[option] = self.component(kind, parameter.default, under(path, option), shape)
        return values

    def _layers(self, layers: Sequence[Any], path: str, shape: Shape | None) -> list[Any]:
        made = []
        routes = self.routes if path == "layers" and self._inputs is not None else []
        for i, given in enumerate(layers):
            before = self.doubted
            route = routes[i] if i < len(routes) else None
            seen = self._joined(route, shape, f"{path}[{i}].theta_from") if route and shape is not None else None
            layer = self.component(modules, given, f"{path}[{i}]", shape, seen)
            if route and layer is not None and "theta_from" not in inspect.signature(layer.forward).parameters:
                self.complain(f"{path}[{i}].theta_from", f"{type(layer).__name__} takes none: it has no θ")
                layer = None
            made.append(layer)
            if shape is not None and self._tries:
                # Behind a layer that could not be built nothing can be said about shapes.
                fine = self.doubted == before and layer is not None
                shape = self._shape_after(layer, f"{path}[{i}]", [shape], seen) if fine else None
        self._last = shape
        return made

    def _joined(self, route: tuple[str, ...], shape: Shape, path: str) -> Shape | None:
        """The shape of several images joined along channels."""
        found = [shape if name == WARPED else (self._inputs or {}).get(name, shape) for name in route]
        if len({s[1:] for s in found}) != 1:
            told = listed(f"{name} {list(s)}" for name, s in zip(route, found, strict=True))
            self.complain(path, "images of one size are joined", given=Told(told))
            return None
        return (sum(s[0] for s in found), *found[0][1:])

    def _shape_after(
        self, module: nn.Module, path: str, shapes: Sequence[Shape], seen: Shape | None = None, **more: Any
    ) -> Shape | None:
        """The shape that a module makes of images of other shapes."""
        if not self._tries:
            return None
        before, after = self._walked.get(id(module), (None, None))
        if [before] == list(shapes):  # layer by layer, while it was built
            return after
        try:
            shape, cost = shape_after(module, shapes, seen, numbers=self._numbers, **more)
        except InputError as error:
            told = ", ".join(str(list(shape)) for shape in shapes)
            child = getattr(error, "child", "")
            if not path and child.isdigit() and isinstance(module, nn.Sequential):
                self.complain(f"layers[{child}]", f"as it is used in the whole: {error}")
                return None
            hint = batch_hint(error, shapes[0], self._given)
            self.complain(path, f"does not fit an input of shape {told}: {error}", hint=hint)
            return None
        self.cost.numbers += cost.numbers
        self.cost.work += cost.work
        return shape


def _is_a(registry: Registry[Any], given: Any) -> bool:
    """Whether the object is of the registry's kind; a transform or a kernel is no layer."""
    return isinstance(given, registry.base) and not (registry is modules and isinstance(given, Kernel | Transform))


def is_torch_s(cls: type) -> bool:
    """Whether the layer is one of torch.nn, whose options are known."""
    return cls.__module__.startswith("torch.nn.")


def takes_any(options: Mapping[str, inspect.Parameter]) -> bool:
    """Whether the constructor takes options by any name."""
    return any(p.kind is p.VAR_KEYWORD for p in options.values())
