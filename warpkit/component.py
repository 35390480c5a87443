"""The options that a component was made with, so that a spec can be written from it, and whether they changed."""

import importlib
import inspect
import math
import numbers
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from warpkit import tracing
from warpkit.quoting import quoted

_OPTIONS, _LABEL, _INFERRED, _INPUTS = "_made_with", "_made_as", "_inferred", "_inputs"
_SHORT = 64  # numbers that a repr shows
_NO_NUMBERS = (str, list, tuple, dict, nn.Module, type(None))
T = TypeVar("T")
NOTES = (_OPTIONS, _LABEL, _INFERRED, _INPUTS)


class Component(nn.Module):
    """A module that remembers the options it was made with, and counts the changes of its attributes.

    What is kept of a component, in a compiled graph too, is out of date once `edits_of` gives something new.
    """

    _edits: int = 0

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        """Make a new object and note its options; `__init__` tells what is wrong with them."""
        made: T = super().__new__(cls)  # type: ignore[misc]
        try:
            bound = inspect.signature(cls.__init__).bind(made, *args, **kwargs)
        except TypeError:  # a copy is made without arguments, and then given everything that the original holds
            return made
        _, *options = bound.arguments
        note_options(made, {key: bound.arguments[key] for key in options})
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "training":  # which train() and eval() set
            object.__setattr__(self, "_edits", self._edits + 1)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        object.__setattr__(self, "_edits", self._edits + 1)

    def spec_options(self) -> dict[str, Any]:
        """The options that would make such an object again: those it was made with, unless a class overrides this."""
        return dict(getattr(self, _OPTIONS, {}))

    def extra_repr(self) -> str:
        """The options that are not their defaults, as `print` shows them above the parts; these are left out."""
        return _arguments(self, {k: v for k, v in self.spec_options().items() if not modules_in(v)})


class Formula(Component):
    """A component that is no network: its repr is the call that makes it, such as `Bicubic(a=-0.5)`.

    Options that equal their defaults are left out, and those that are long are cut. A number that learns stands as it
    is now.
    """

    def extra_repr(self) -> str:
        """The arguments of the call."""
        return _arguments(self, vars(self).get(_OPTIONS, {}))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class Drawn:
    """A component that notebooks show as a picture, where one can be drawn, and else as text."""

    def _repr_html_(self) -> str | None:
        # By its name, since what draws stands above all that is drawn.
        found: str | None = importlib.import_module("warpkit.notebook").html_of(self)
        return found


def _arguments(made: Component, given: Mapping[str, Any]) -> str:
    """Options as the arguments of a call; a number or a word as the attribute of its name has it now."""
    told: list[str] = []
    before: list[Any] = []
    for name, parameter in list(inspect.signature(type(made).__init__).parameters.items())[1:]:
        value = given.get(name, parameter.default)
        now = vars(made).get(name)
        if type(now) is type(value) and isinstance(now, bool | int | float | str):
            value = now
        learnt = made._parameters.get(name)
        if learnt is not None and learnt.ndim == 0 and not learnt.is_meta:
            value = _shortest(float(learnt.detach()), value)
        if parameter.kind is parameter.VAR_POSITIONAL:
            if given.get(name):  # those before it have no names then
                told = [*map(_told, before), *map(_told, given[name])]
        elif parameter.kind is parameter.VAR_KEYWORD:
            told += [f"{key}={_told(each)}" for key, each in given.get(name, {}).items()]
        elif value is not parameter.empty:
            before.append(value)
            told += [f"{name}={_told(value)}"] if _told(value) != _told(parameter.default) else []
    return ", ".join(told)


def _shortest(learnt: float, given: Any) -> float:
    """A number of float32 in the digits that it has; the given one where it is still that."""
    is_given = isinstance(given, int | float) and math.isclose(learnt, given, rel_tol=1e-6)
    return given if is_given else float(f"{learnt:.7g}")


def _told(value: Any) -> str:
    """A value as Python writes it; short where it is long, as a message has it."""
    try:
        is_short = math.prod(getattr(value, "shape", ())) <= _SHORT
        text = repr(written(value)) if is_short else ""
    except Exception:  # a tensor without numbers, a stranger's object
        text = ""
    return text if 0 < len(text) <= 12 * _SHORT else str(quoted(value))


def edits_of(module: nn.Module) -> Any:
    """A value that changes when an attribute is set, in a submodule too; changes inside lists and dicts are not
    seen.
    """
    own = module._edits if isinstance(module, Component) else _plain_attributes(module)
    if not module._modules:
        return own
    return (own, *((id(part), edits_of(part)) for part in module._modules.values() if part is not None))


def _plain_attributes(module: nn.Module) -> tuple[tuple[str, Any], ...]:
    """The options of a module that counts nothing, such as one of torch.nn."""
    plain = (bool, int, float, str, tuple, type(None))
    hidden = ("training", "_is_full_backward_hook")
    return tuple((k, v) for k, v in vars(module).items() if k not in hidden and isinstance(v, plain))


def note_options(made: Any, options: Mapping[str, Any]) -> None:
    """Remember the options that `made` was made with."""
    kept = {k: type(v)(v) if type(v) in (list, dict) else as_number(v) for k, v in options.items()}
    object.__setattr__(made, _OPTIONS, kept)


def options_of(made: Any) -> dict[str, Any] | None:
    """The options that would make such an object again; None where nobody noted them."""
    if isinstance(made, Component):
        return made.spec_options()
    return vars(made).get(_OPTIONS)  # type: ignore[no-any-return]


def note(made: Any, *, label: str | None, inferred: set[str]) -> None:
    """Remember the `id` that a spec gave, and which options followed from the input's shape."""
    object.__setattr__(made, _LABEL, label)
    object.__setattr__(made, _INFERRED, frozenset(inferred))


def label_of(made: Any) -> str | None:
    """The `id` that the spec gave to this component, or None."""
    return vars(made).get(_LABEL)  # type: ignore[no-any-return]


def inferred_of(made: Any) -> frozenset[str]:
    """The options that followed from the input's shape."""
    return vars(made).get(_INFERRED, frozenset())  # type: ignore[no-any-return]


def note_inputs(made: Any, inputs: dict[str, tuple[int, ...]]) -> None:
    """Remember the inputs' shapes, by name."""
    object.__setattr__(made, _INPUTS, inputs)


def inputs_of(module: Any) -> dict[str, tuple[int, ...]] | None:
    """The shapes [C, *S] of one image that a spec gave, by name, in the order in which the module takes them."""
    return vars(module).get(_INPUTS)  # type: ignore[no-any-return]


def as_number(value: Any) -> Any:
    """The Python number of a NumPy scalar, of an array or tensor without axes, of a fraction; anything else as it is.

    A truth value of NumPy or torch is no number, and neither is a tensor that learns or whose number cannot be read.
    """
    if type(value) in (bool, int, float) or isinstance(value, _NO_NUMBERS):
        return value
    if isinstance(value, Tensor | np.ndarray):
        is_hidden = isinstance(value, Tensor) and (value.requires_grad or tracing.is_traced(value))
        if value.ndim > 0 or is_hidden or value.dtype in (torch.bool, np.bool_):
            return value
        value = value.item()
    with suppress(OverflowError):
        if isinstance(value, numbers.Real) and not isinstance(value, int):
            return int(value) if isinstance(value, numbers.Integral) else float(value)
    return value


def is_plain(value: Any) -> bool:
    """Whether options are data alone, which two tables may have in common."""
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    if isinstance(value, Tensor):
        return not (value.requires_grad or tracing.is_traced(value))
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.number)


def written(value: Any) -> Any:
    """Plain options as numbers, names, tuples and dicts, whose repr tells two values apart."""
    if isinstance(value, dict):
        return {k: written(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(map(written, value))
    return written(value.tolist()) if hasattr(value, "tolist") else value


def modules_in(value: Any) -> list[nn.Module]:
    """The modules that a table holds, at any depth."""
    if isinstance(value, nn.Module):
        return [value]
    each = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [module for held in each for module in modules_in(held)]
