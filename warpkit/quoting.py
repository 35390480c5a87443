"""Texts of others, made short and harmless before a message or a terminal gets them."""

import datetime
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from types import EllipsisType, NoneType
from typing import Any

# Types whose text is short whatever they hold; of a subclass, which may write anything, it is the base's.
_DATES = (datetime.datetime, datetime.date, datetime.time)
_SHORT: tuple[Any, ...] = (bool, float, complex, NoneType, EllipsisType, *_DATES)


class Told(str):
    """Text that is ready for a message, harmless and short: `quoted` gives it, and leaves it as it is."""


def quoted(value: object, most: int = 80) -> Told:
    """A value as Python writes it, in at most `most` letters.

    No more is written than is shown, however large the value is, and no code of a stranger's class runs: an object is
    its class's name, a tensor or an array its shape and type.
    """
    if type(value) is Told:
        return value
    text = ""
    try:
        for piece in _pieces(value, most):
            text += piece
            if len(text) > most:
                break
    except Exception:  # an odd class, a container that changes meanwhile, the end of the stack
        text += "…"
    return Told(_cut(text, most))


def shown(text: object, most: int = 200) -> str:
    """A name, a path or other text without quotes, in at most `most` letters, `escaped`."""
    if isinstance(text, PurePath):
        text = str(text)
    return _cut(escaped(str.__getitem__(text, slice(most + 1))), most) if isinstance(text, str) else quoted(text, most)


def reason(error: BaseException, most: int = 200) -> str:
    """The first line of an error's text, or the name of its class where it has none."""
    try:
        told = str(error)[: 2 * most].strip()
    except Exception:  # a stranger's error that cannot be written
        told = ""
    return shown(told.splitlines()[0] if told else type(error).__name__, most)


def listed(names: Iterable[object], most: int = 100) -> str:
    """The names, separated by commas, and how many there are beyond `most`."""
    names = list(names)
    more = [f"… ({len(names) - most} more)"] if len(names) > most else []
    return ", ".join([shown(name, 80) for name in names[:most]] + more)


def escaped(text: str) -> str:
    """The text in one line; control characters, bidi marks and line separators are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _pieces(value: Any, most: int) -> Iterator[str]:
    """The text of a value, piece by piece; a container gives at least one piece for each of its parts."""
    # The base's method, by name, for what may be a stranger's subclass only: dynamo, which traces an error that is
    # caught, cannot read that.
    kind = type(value)
    if issubclass(kind, str):
        yield repr(str.__getitem__(value, slice(most + 1)))
    elif issubclass(kind, bytes):
        yield repr(bytes.__getitem__(value, slice(most + 1)))
    elif issubclass(kind, PurePath):
        yield repr(PurePath.__str__(value)[: most + 1])
    elif short := [base for base in _SHORT if issubclass(kind, base)]:
        yield repr(value) if kind in short else short[0].__repr__(value)
    elif issubclass(kind, int):  # the time to write one grows with the square of its length
        bits = value.bit_length() if kind is int else int.bit_length(value)
        yield int.__repr__(value) if bits < 4 * most else f"<int of {bits} bits>"
    elif issubclass(kind, list | tuple | set | frozenset):
        base, start, end = next(it for it in _BRACKETS if issubclass(kind, it[0]))
        yield start
        for i, part in enumerate(value if kind is base else base.__iter__(value)):
            yield ", " if i else ""
            yield from _pieces(part, most)
        yield ",)" if end == ")" and base.__len__(value) == 1 else end
    elif issubclass(kind, dict):
        yield "{"
        for i, (key, part) in enumerate(dict.items(value)):
            yield ", " if i else ""
            yield from _pieces(key, most)
            yield ": "
            yield from _pieces(part, most)
        yield "}"
    else:
        yield from _object(value, kind, most)


_BRACKETS: Any = ((list, "[", "]"), (tuple, "(", ")"), (set, "{", "}"), (frozenset, "{", "}"))


def _object(value: Any, kind: type, most: int) -> Iterator[str]:
    """The text of an object: its type and shape, never its contents."""
    bases = {f"{base.__module__}.{base.__name__}" for base in kind.__mro__}
    if "numpy.generic" in bases:  # a number
        yield from _pieces(value.item(), most)
    elif bases & {"torch.Tensor", "numpy.ndarray"}:
        dtype = str(value.dtype).removeprefix("torch.")
        yield f"<{shown(kind.__name__, most)} {list(value.shape)} {shown(dtype, most)}>"
    elif bases & {"torch.dtype", "torch.device"}:
        yield str(value)
    elif issubclass(kind, type):
        yield f"<class {shown(f'{value.__module__}.{value.__qualname__}', most)}>"
    else:
        yield f"<{shown(kind.__name__, most)}>"
