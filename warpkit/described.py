"""What a component was made with, kept beside it so that it can be written down as a spec again."""

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

_OPTIONS, _LABEL, _INFERRED, _INPUTS = "_made_with", "_made_as", "_inferred", "_inputs"
T = TypeVar("T")
NOTES = (_OPTIONS, _LABEL, _INFERRED, _INPUTS)


class Described:
    """A class whose objects remember the options that they were made with."""

    def __new__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        """A new object; `__init__` tells what is wrong with its arguments."""
        made: T = super().__new__(cls)  # type: ignore[misc]
        try:
            bound = inspect.signature(cls.__init__).bind(made, *args, **kwargs)
        except TypeError:  # a copy is made without arguments, and then given everything that the original holds
            return made
        _, *options = bound.arguments
        note_options(made, {key: bound.arguments[key] for key in options})
        return made

    def spec_options(self) -> dict[str, Any]:
        """The options that would make such an object again: those it was made with, unless a class knows better."""
        return dict(getattr(self, _OPTIONS, {}))


def note_options(made: Any, options: Mapping[str, Any]) -> None:
    """Remember what `made` was made with."""
    kept = {key: type(value)(value) if type(value) in (list, dict) else value for key, value in options.items()}
    object.__setattr__(made, _OPTIONS, kept)


def options_of(made: Any) -> dict[str, Any] | None:
    """The options that would make such an object again; None where nobody noted them."""
    if isinstance(made, Described):
        return made.spec_options()
    return vars(made).get(_OPTIONS)  # type: ignore[no-any-return]


def note(made: Any, *, label: str | None, inferred: set[str]) -> None:
    """Remember the `id` that a spec gave, and which options followed from the input's shape."""
    object.__setattr__(made, _LABEL, label)
    object.__setattr__(made, _INFERRED, frozenset(inferred))


def label_of(made: Any) -> str | None:
    """The `id` in the spec that it was made from."""
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
