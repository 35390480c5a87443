"""Arrays of numbers from MATLAB's files of level 5 (until 7.2); a damaged file leads to no more than an error.

Source: The MathWorks, "MAT-File Format", R2015b, chapter 1. A file is a head of 128 bytes and then variables; a
variable is an element (a tag of type and size, and the data), mostly one that is deflated as a whole; inside there are
elements again: flags, dimensions, name, and the values, in the smallest type that they fit in.
"""

import math
import struct
import zlib
from collections.abc import Callable
from io import BufferedReader

import numpy as np

_MATRIX, _DEFLATED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_NUMBERS = range(6, 16)  # classes of variables: double, single, int8 … uint64
_COMPLEX = 8  # a flag
_SMALL = 1024  # bytes of flags, dimensions or a name
_CHUNK = 2**16
_CUT_OFF = "it ends before its variables do"

Take = Callable[[int], bytes]  # just so many bytes; EOFError where they are not there


def read_matrices(file: BufferedReader, names: tuple[str, ...], most: int) -> dict[str, np.ndarray]:
    """The variables of these names that the file has.

    `most`: bytes of a variable's values. Raises `ValueError` for what is not as the format has it or is larger,
    `EOFError` for a file that is cut off, `zlib.error` for one that is damaged.
    """
    head = file.read(128)
    _require(head[124:] == b"\x00\x01IM", "it is no little-endian file of level 5")
    found: dict[str, np.ndarray] = {}
    while len(found) < len(names) and (tag := file.read(8)):
        kind, size = struct.unpack("<2I", _whole(tag, 8))
        end = file.tell() + size
        deflated = _Deflated(file, size) if kind == _DEFLATED else None
        take = deflated.take if deflated else lambda count: _whole(file.read(count), count)
        if deflated:
            kind, size = struct.unpack("<2I", take(8))
        _require(kind == _MATRIX, f"it holds an element of type {kind}")
        name, values = _matrix(take, most, names)
        if values is not None:
            found[name] = values
            if deflated:
                deflated.finish()
        file.seek(end)
    return found


def _matrix(take: Take, most: int, names: tuple[str, ...]) -> tuple[str, np.ndarray | None]:
    """The name of a variable, and its values where it is one of the names."""
    flags, shape, name = (_element(take, _SMALL, padded=True)[1] for _ in range(3))
    called = name.decode("ascii")
    if called not in names:
        return called, None
    sizes = np.frombuffer(shape, "<i4").tolist()
    _require(len(flags) == 8 and len(sizes) >= 2 and min(sizes) >= 0, f"{called} has no shape")
    _require(flags[0] in _NUMBERS and not flags[1] & _COMPLEX, f"{called} is no array of real numbers")
    kind, values = _element(take, most)
    _require(kind in _TYPES, f"{called} holds values of type {kind}")
    array = np.frombuffer(values, _TYPES[kind])
    _require(len(array) == math.prod(sizes), f"{called} holds {len(array)} values, {sizes} are announced")
    return called, array.reshape(sizes, order="F")


def _element(take: Take, most: int, padded: bool = False) -> tuple[int, bytes]:
    """The type and the data of an element. Up to four bytes stand in its tag; others are padded to eight."""
    tag = take(8)
    kind, size = struct.unpack("<2I", tag)
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        _require(size <= 4, f"an element of {size} bytes stands in its tag")
        return kind, tag[4 : 4 + size]
    _require(size <= most, f"{size:,} bytes are announced, expected at most {most:,}")
    data = take(size)
    if padded:
        take(-size % 8)
    return kind, data


class _Deflated:
    """A deflated element, which is inflated only as far as it is asked for."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self._file, self._left, self._inflate = file, size, zlib.decompressobj()

    def take(self, count: int) -> bytes:
        """The next `count` bytes; `EOFError` where there are fewer."""
        parts = []
        while count:
            parts.append(_whole(self._next(count), 1))
            count -= len(parts[-1])
        return b"".join(parts)

    def finish(self) -> None:
        """Inflate the room behind the last element, so that zlib compares the check sum."""
        rest = 0
        while part := self._next(8):
            rest += len(part)
            _require(rest < 8, "a variable goes on after its end")

    def _next(self, most: int) -> bytes:
        """At most this many of the next bytes; none at the end."""
        while not self._inflate.eof:
            given = self._inflate.unconsumed_tail
            if not given:
                given = self._file.read(min(_CHUNK, self._left))
                self._left -= len(given)
            if inflated := self._inflate.decompress(given, most):
                return inflated
            if not given and not self._inflate.eof:
                raise EOFError(_CUT_OFF)
        return b""


def _whole(data: bytes, count: int) -> bytes:
    if len(data) < count:
        raise EOFError(_CUT_OFF)
    return data


def _require(ok: bool, what: str) -> None:
    if not ok:
        raise ValueError(what)
