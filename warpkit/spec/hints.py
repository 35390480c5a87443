"""The values that an option may have, by the type hints of its constructor."""

import enum
import functools
import inspect
import typing
from collections.abc import Sequence
from typing import Any

from torch import nn

from warpkit.component import as_number
from warpkit.errors import InputError, unknown
from warpkit.kernels.base import Kernel, kernels
from warpkit.modules.base import modules
from warpkit.quoting import shown
from warpkit.registry import Registry
from warpkit.transforms.base import Transform, transforms

KINDS: tuple[tuple[type, Registry[Any]], ...] = ((Transform, transforms), (Kernel, kernels), (nn.Module, modules))
# Options of torch.nn that torch takes at any value.
_POSITIVE = {
    "in_features", "out_features", "in_channels", "out_channels", "num_features", "num_channels", "kernel_size",
    "stride", "dilation", "groups", "output_size", "normalized_shape",
}  # fmt: skip


def hints_of(cls: type) -> dict[str, Any]:
    """The type hint of each option; no entry where there is none, or where it cannot be resolved."""
    try:
        return typing.get_type_hints(cls.__init__)  # type: ignore[misc]
    except Exception:  # a stranger's annotations: names that only a type checker knows
        return {}


def registry_of(hint: Any) -> Registry[Any] | None:
    """The registry of the components that this hint allows, or None for plain values."""
    parts = _parts(hint)
    for base, registry in KINDS:
        if base in parts:
            return registry
    return None


def takes_several(hint: Any) -> bool:
    """Whether the option takes a list of components."""
    return bool({Sequence, list, tuple} & _parts(hint))


def check(option: str, hint: Any, value: Any, is_torch_s: bool) -> Any:
    """The value if the hint allows it, with lists as tuples where the hint wants these; `InputError` otherwise."""
    value = as_number(value)
    numbers = value if isinstance(value, list | tuple) else [value]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        found = [member for member in hint if member.value == value or member is value]
        if not found:
            raise unknown("value", value, [str(member.value) for member in hint])
        return found[0]
    if is_torch_s and option in _POSITIVE and any(isinstance(n, int) and n < 1 for n in numbers):
        raise InputError(expected="positive numbers" if len(numbers) > 1 else "at least 1", given=value)
    from pydantic import ValidationError

    try:
        adapter = _adapter(hint)
    except TypeError:  # a hint that cannot be a key
        adapter = _adapter.__wrapped__(hint)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        if isinstance(value, list):
            try:
                return adapter.validate_python(_tuples(value))
            except ValidationError:
                pass
        words = sorted(word for word in _parts(hint) if isinstance(word, str))
        if words and not {int, float, str, dict} & _parts(hint):  # words alone
            for word in numbers:
                if isinstance(word, str) and word not in words:
                    raise unknown(option, word, words) from error
            several = ", or a list of these" if takes_several(hint) else ""
            raise InputError(expected=f"one of {', '.join(words)}{several}", given=value) from error
        expected = inspect.formatannotation(hint) if isinstance(hint, type) else str(hint)
        expected = expected.replace("typing.", "").replace("collections.abc.", "").replace("torch.", "")
        raise InputError(expected=shown(expected), given=value) from error


@functools.lru_cache(maxsize=256)
def _adapter(hint: Any) -> Any:
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
    except PydanticUserError:  # a class with a configuration of its own
        return TypeAdapter(hint)


def _parts(hint: Any) -> set[Any]:
    """The classes that a hint is made of."""
    arguments = typing.get_args(hint)
    found = {typing.get_origin(hint) or hint}
    return found.union(*map(_parts, arguments)) if arguments else found


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def input_width(name: str, shape: tuple[int, ...]) -> int | None:
    """The number that this option takes from the input's shape [C, *S]; None for an option that takes none."""
    by_name = {"in_channels": shape[0], "num_features": shape[0], "num_channels": shape[0], "in_features": shape[-1]}
    return by_name.get(name)


def is_offered(name: str, parameter: inspect.Parameter) -> bool:
    """Whether a spec may set the option: a module's device and dtype are no part of its description."""
    return name not in ("device", "dtype") and parameter.kind is not parameter.VAR_KEYWORD
