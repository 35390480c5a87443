"""A spec becomes a module; every mistake in it is named by its path, all of them at once."""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from warpkit.errors import InputError, require, unknown
from warpkit.modules.base import modules
from warpkit.registry import Registry
from warpkit.spec.hints import check, hints_of, input_width, is_offered, registry_of, takes_several
from warpkit.spec.read import read

VERSION = 1
Shape = tuple[int, ...]


def build(spec: dict[str, Any] | str | Path) -> nn.Module:
    """The module that a spec describes.

    `spec`: a dict, or the path of a TOML, YAML or JSON file. It holds `layers`, or `type` and the options of one
    module; with `input`, the shape [C, *S] of one image, the widths of every layer are inferred and none is left lazy.

    Raises `InputError` that names each mistake by its path, such as `layers[0].transform.grid`.

    >>> build({"version": 1, "input": [1, 28, 28], "layers": ["Flatten", {"type": "Linear", "out_features": 10}]})[1]
    Linear(in_features=784, out_features=10, bias=True)
    """
    table = dict(read(spec))
    builder = _Builder()
    version = table.pop("version", VERSION)
    if version != VERSION:
        builder.complain(
            "version", f"got {version!r}, this warpkit reads {VERSION}: install the one the spec was written for"
        )
    shape = builder.input_shape(table.pop("input", None))
    if "type" not in table:
        table = {"type": "sequential", **table}
        if "layers" not in table:
            builder.complain(
                "layers", f"missing; got {', '.join(map(repr, sorted(table.keys() - {'type'}))) or 'nothing'}"
            )
    module = builder.component(modules, table, "", shape) if not builder.mistakes else None
    if shape is not None and isinstance(module, nn.Module) and not isinstance(module, nn.Sequential):
        builder.shape_after(module, "", shape)
    if builder.mistakes:
        raise InputError("spec: " + "\n      ".join(builder.mistakes))
    assert isinstance(module, nn.Module)
    return module


class _Builder:
    def __init__(self) -> None:
        self.mistakes: list[str] = []
        self.named: dict[str, Any] = {}

    def complain(self, path: str, message: str) -> None:
        self.mistakes.append(f"{path}: {message}" if path else message)

    def input_shape(self, given: Any) -> Shape | None:
        if given is None:
            return None
        if isinstance(given, list | tuple) and 1 <= len(given) <= 4 and all(type(n) is int and n > 0 for n in given):
            return tuple(given)
        self.complain("input", f"got {given!r}, expected the shape of one image, [C, *S]")
        return None

    def component(self, registry: Registry[Any], given: Any, path: str, shape: Shape | None) -> Any:
        """A transform, kernel or module; None where it could not be built, with a complaint."""
        if isinstance(given, registry.base):
            return given
        if isinstance(given, dict) and "use" in given:
            return self._used(registry, given, path)
        before = len(self.mistakes)
        with self._at(path):
            name, table = registry._parse(given)
            table = dict(table)
            label = table.pop("id", None)
            require(label is None or isinstance(label, str), f"id: expected a name, got {label!r}")
            cls = registry.load(name)
            options = self._options(registry, name, cls, table, path, shape)
            if len(self.mistakes) == before:
                with self._at(path, options):
                    made = registry.create(name, **options)
                    if label is not None:
                        if label in self.named:
                            self.complain(f"{path}.id" if path else "id", f"{label!r} is taken")
                        self.named[label] = made
                    return made
        return None

    def _used(self, registry: Registry[Any], given: dict[str, Any], path: str) -> Any:
        made = self.named.get(given["use"]) if isinstance(given["use"], str) else None
        if made is None:
            self.mistakes.append(f"{path}.use: {unknown('id', given['use'], self.named)}")
        elif len(given) > 1:
            self.complain(path, f"`use` stands alone, got {sorted(given)}")
        elif not isinstance(made, registry.base):
            self.complain(path, f"{given['use']!r} is no {registry.kind}")
        return made

    def _options(
        self, registry: Registry[Any], name: str, cls: type, table: dict[str, Any], path: str, shape: Shape | None
    ) -> dict[str, Any]:
        """The constructor's arguments: components built, plain values checked, widths inferred."""
        known = {k: p for k, p in registry.options(name).items() if is_offered(k, p)}
        hints = hints_of(cls)
        made: dict[str, Any] = {}
        for option, value in table.items():
            where = f"{path}.{option}" if path else option
            if option not in known:
                self.mistakes.append(f"{where}: {unknown(f'option of {registry.kind} {name!r}', option, known)}")
                continue
            kind = registry_of(hints.get(option))
            if name == "sequential" and option == "layers" and isinstance(value, list | tuple):
                made[option] = self._layers(value, where, shape)
            elif kind is not None and isinstance(value, list | tuple) and takes_several(hints[option]):
                made[option] = [self.component(kind, part, f"{where}[{i}]", shape) for i, part in enumerate(value)]
            elif kind is not None:
                made[option] = self.component(kind, value, where, shape)
            else:
                with self._at(where):
                    made[option] = check(hints[option], value) if option in hints else value
        if shape is not None:
            for option, parameter in known.items():
                if option not in table:
                    made.update(self._inferred(option, parameter.default, registry_of(hints.get(option)), path, shape))
        return made

    def _inferred(
        self, option: str, default: Any, kind: Registry[Any] | None, path: str, shape: Shape
    ) -> dict[str, Any]:
        """What an option that is not given takes from the input's shape: its width, or its number of dimensions."""
        if default is inspect.Parameter.empty:
            width = input_width(option, shape)
            return {} if width is None else {option: width}
        if option == "ndim" and len(shape) > 1:
            return {option: len(shape) - 1}
        if kind is not None and isinstance(default, str):
            return {option: self.component(kind, default, f"{path}.{option}", shape)}
        return {}

    def _layers(self, layers: Any, path: str, shape: Shape | None) -> list[Any]:
        made = []
        for i, given in enumerate(layers):
            before = len(self.mistakes)
            layer = self.component(modules, given, f"{path}[{i}]", shape)
            made.append(layer)
            if shape is not None:
                # Behind a layer that could not be built nothing can be said about shapes.
                shape = self.shape_after(layer, f"{path}[{i}]", shape) if len(self.mistakes) == before else None
        return made

    def shape_after(self, module: nn.Module, path: str, shape: Shape) -> Shape | None:
        """The shape that a module makes of another, found by trying; its lazy layers are given their widths by that."""
        was_training = [m for m in module.modules() if m.training]
        try:
            with torch.no_grad():
                return tuple(module.eval()(torch.zeros(1, *shape)).shape[1:])
        except Exception as error:  # torch says what does not fit in many ways
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self.complain(path, f"does not fit an input of shape {list(shape)}: {reason}")
            return None
        finally:
            for m in was_training:
                m.training = True

    @contextmanager
    def _at(self, path: str, options: dict[str, Any] | None = None) -> Iterator[None]:
        """An `InputError` inside becomes a complaint at `path`, or at the option that its message begins with."""
        try:
            yield
        except InputError as error:
            message = str(error)
            about = re.match(r"(?:unknown )?(\w+)(: )?", message)
            if options is not None and about and about[1] in options:
                path = f"{path}.{about[1]}" if path else about[1]
                message = message[about.end() :] if about[2] else message
            self.complain(path, message)
        except (RuntimeError, TypeError, ValueError, OverflowError, MemoryError) as error:  # of a constructor
            self.complain(path, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
