"""Numbers and options as people type them on a command line."""

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any

from warpkit.errors import InputError, quoted, require
from warpkit.quoting import Told

_MINUS = "−"  # U+2212, as it is printed; keyboards have the hyphen
_SIGN = rf"[-+{_MINUS}]?"
_NUMBER = re.compile(rf"{_SIGN}(\d+\.?\d*|\.\d+)([eE]{_SIGN}\d+)?")
_NUMBERS = re.compile(rf"{_NUMBER.pattern}([,\s]+{_NUMBER.pattern})*,?")


def join_numbers(arguments: Sequence[str], flags: Iterable[str]) -> list[str]:
    """The arguments, with the numbers that follow one of these flags joined to one argument.

    A parser of options takes one word after a flag, and a number below zero for another flag.

    >>> join_numbers(["--theta", "0.9", "-0.2", "0", "--kernel", "bicubic"], ["--theta"])
    ['--theta=0.9 -0.2 0', '--kernel', 'bicubic']
    """
    flags, joined, left = set(flags), [], list(arguments)
    while left:
        word = left.pop(0)
        numbers = []
        while word in flags and left and _NUMBERS.fullmatch(left[0].strip()):
            numbers.append(left.pop(0).strip())
        joined.append(f"{word}={' '.join(numbers)}" if numbers else word)
    return joined


def parse_numbers(what: str, given: Sequence[str]) -> list[float]:
    """The numbers in these words, separated by spaces or commas; `InputError` for a word that is no number."""
    numbers = []
    for word in (word for text in given for word in re.split(r"[\s,\[\]()]+", text) if word):
        try:
            numbers.append(float(word.replace(_MINUS, "-")))
        except ValueError:
            raise InputError(
                what, expected="numbers", given=Told(f"{quoted(word)} in {quoted(' '.join(given))}")
            ) from None
    return numbers


_SIZES = {
    1: "one number",
    2: "rows and columns, like 480 640, or one number for both",
    3: "planes, rows and columns, like 64 480 640, or one number for all",
}


def parse_size(given: str, ndim: int = 2) -> tuple[int, ...]:
    """The rows and columns in "480 640", "480,640" or "480x640", planes before them in 3-D; of one number, all."""
    words = re.findall(r"\d+", given)
    require(
        re.fullmatch(r"[\s\d,xX×()]+", given) is not None
        and len(words) in (1, ndim)
        and all(len(word) < 20 and int(word) > 0 for word in words),
        "--size",
        expected=_SIZES[ndim],
        given=given,
    )
    return tuple(int(words[k % len(words)]) for k in range(ndim))


def parse_options(flag: str, given: Sequence[str]) -> dict[str, Any]:
    """The options in texts `key=value`, as a dict; a value is JSON or TOML, and anything else is text.

    >>> parse_options("--set", ["grid=[3, 3]", "scale=0.5", "mode=fast"])
    {'grid': [3, 3], 'scale': 0.5, 'mode': 'fast'}
    """
    options = {}
    for text in given:
        key, equals, value = text.partition("=")
        require(bool(equals) and key.strip() != "", flag, expected="key=value", given=text)
        options[key.strip()] = _value(flag, text, value.strip())
    return options


def _value(flag: str, text: str, value: str) -> Any:
    for written in dict.fromkeys((value, value.replace(_MINUS, "-"))):
        for parse in (json.loads, _toml):
            try:
                return parse(written)
            except (ValueError, RecursionError):  # ValueError: both parsers' errors are
                continue
    require(value[:1] not in ("[", "{", '"', "'"), f"{flag}: {quoted(text)} has a value that is neither JSON nor TOML")
    return value


def _toml(value: str) -> Any:
    require("\n" not in value, "one value is expected")
    return tomllib.loads(f"value = {value}")["value"]
