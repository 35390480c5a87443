"""What a report is made of, whatever it is written as. All text is plain; whoever writes a page escapes it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """The first `words` columns are words, the rest numbers. The first line of a cell is what counts."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True)
class Picture:
    """`name` is that of its file, without suffix; `text` says what is to be seen."""

    name: str
    text: str
    png: bytes


@dataclass(frozen=True)
class Box:
    """What must not be overlooked."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Code:
    """To be copied into a terminal."""

    lines: Sequence[str]


Part = str | Table | Picture | Box | Code  # a str is a paragraph


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    sections: Sequence[Section]
