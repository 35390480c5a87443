"""Whether a transform file is whole: of truncated ones ITK may read the identity, or other numbers, without a word.

HDF5 knows its own length, and ITK asks it. A composite's text does not say how many transforms it has: if it ends right
behind one of them, nobody can tell.
"""

import re
import struct
from pathlib import Path

import warpkit as wk

_TAGS = ["Transform", "Parameters", "FixedParameters"]
_HEAD = struct.Struct("<5i")  # MATLAB 4: the type, rows, columns, whether it is complex, the length of the name


def check_whole(path: Path) -> None:
    """Raise `InputError` for a text or a MATLAB file that lacks its end, and for a text of several transforms."""
    with path.open("rb") as file:
        if path.suffix.lower() in (".tfm", ".txt"):
            _check_text(file.read().decode("utf-8"))
        elif path.suffix.lower() == ".mat":
            _check_matlab(file.read())


def _check_text(text: str) -> None:
    tags = [line.partition(":")[0].strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    names = re.findall(r"^Transform: *(\w*)", text, re.MULTILINE)
    if not names:
        raise wk.InputError("text", expected="ITK's, with a line that begins with Transform:")
    is_composite = names[0].startswith("Composite")
    if tags[is_composite:] != _TAGS * (len(names) - is_composite) or not text.endswith("\n"):
        raise wk.InputError("it is not whole", expected=f"{', '.join(_TAGS)}, each in a line that ends")
    if len(names) > 1 and not is_composite:  # ITK would read the first
        raise wk.InputError("file", expected="one transform, or a composite", given=names)


def _check_matlab(data: bytes) -> None:
    """A matrix after the other, each with its size: the parameters and the fixed ones of each transform."""
    at, count = 0, 0
    while 0 <= at <= len(data) - _HEAD.size:
        kind, rows, columns, _, name = _HEAD.unpack_from(data, at)
        at += _HEAD.size + name + rows * columns * (4 if kind // 10 == 1 else 8)  # float32, float64
        count += 1
    if at != len(data) or count == 0 or count % 2:
        raise wk.InputError("it is not whole", expected="MATLAB 4, two matrices for each transform")
