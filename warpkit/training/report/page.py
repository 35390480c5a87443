"""The parts of a report, whatever it is written as. All text is plain; whoever writes a page escapes it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table whose first `words` columns are words, the rest numbers. A cell's first line is the important one."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True)
class Picture:
    """A picture: `name` is its file's without suffix, `text` describes it."""

    name: str
    text: str
    png: bytes


@dataclass(frozen=True)
class Box:
    """Lines that must not be overlooked, under a title."""

    title: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Code:
    """Lines to be copied into a terminal."""

    lines: Sequence[str]


Part = str | Table | Picture | Box | Code  # a str is a paragraph


@dataclass(frozen=True)
class Section:
    """A heading and the parts below it."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Page:
    """A whole report: a title and sections."""

    title: str
    sections: Sequence[Section]
