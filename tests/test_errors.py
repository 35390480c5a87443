"""`quoted` and what goes with it: bounded whatever it is given, and harmless on a terminal."""

import enum
import pathlib

import numpy as np
import pytest
import torch

from warpkit.errors import InputError, quoted, unknown
from warpkit.quoting import listed, reason, shown


class Hostile:
    """Whatever is asked of it fails; written out, it would be counted."""

    written = 0

    def __repr__(self):
        Hostile.written += 1
        raise SystemError

    __str__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = __repr__


class OddList(list):
    def __iter__(self):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError


def bomb(depth=200):
    """A value of 9²⁰⁰ letters, written out."""
    value = "x"
    for _ in range(depth):
        value = [value] * 9
    return value


def within_itself():
    value = []
    value.append({"again": value})
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "True"),
        (None, "None"),
        (0.5, "0.5"),
        ("it's", '"it\'s"'),
        ([1, ("a",), {"b": {2}}], "[1, ('a',), {'b': {2}}]"),
        (np.float32(0.5), "0.5"),
        (np.int64(7), "7"),
        (pathlib.PurePosixPath("a/b"), "'a/b'"),
        (torch.Size([2, 3]), "(2, 3)"),
        (torch.float32, "torch.float32"),
        (torch.zeros(2, 3), "<Tensor [2, 3] float32>"),
        (np.zeros((4,), np.int16), "<ndarray [4] int16>"),
        (torch.nn.Linear(2, 2), "<Linear>"),
        (enum.Enum, "<class enum.Enum>"),
        (OddList([1, 2]), "[1, 2]"),
    ],
)
def test_a_value_is_written_as_python_writes_it_and_an_object_by_its_class(value, text):
    assert quoted(value) == text


LARGE = {
    "aliases": bomb(), "within itself": within_itself(), "letters": "x" * 10**6, "bytes": b"x" * 10**6,
    "digits": 10**100_000, "many digits": [10**100_000] * 9, "numbers": list(range(10**5)),
    "table": {i: bomb() for i in range(9)}, "objects": [Hostile()] * 10**4,
}  # fmt: skip


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE.keys())
def test_no_more_is_written_than_is_shown(value):
    assert len(quoted(value)) <= 80
    assert len(quoted(value, 20)) <= 20
    assert len(shown(value, 30)) <= 30


def test_no_code_of_a_strangers_class_runs():
    Hostile.written = 0
    assert quoted([Hostile(), {Hostile: 1}]) == f"[<Hostile>, {{<class {__name__}.Hostile>: 1}}]"
    assert Hostile.written == 0


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b2J", "a\u202eb", "a\u2028b", "a\rb", "a\nb", "\x00", "\x7f", "\ud800"]
)
def test_what_steers_a_terminal_is_escaped(text):
    told = [
        quoted(text),
        quoted([text]),
        quoted({text: 1}),
        shown(text),
        listed([text, text]),
        reason(ValueError(text)),
    ]
    told.append(str(unknown("name", text, [text, f"{text}s"])))
    assert all(line.isprintable() for line in told)


def test_the_name_of_a_class_is_escaped():
    assert quoted(type("\x1b[2J", (), {})()) == r"<\x1b[2J>"


def test_an_error_is_told_by_its_first_line_or_its_class():
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(ValueError()) == "ValueError"
    assert reason(ValueError(Hostile())) == "ValueError"
    assert len(reason(ValueError("x" * 10**6))) <= 200


def test_a_long_list_of_known_names_is_cut():
    error = unknown("id", "eye", [f"eye{i}" for i in range(10**4)])
    assert isinstance(error, InputError)
    assert "Did you mean" in str(error)
    assert str(error).endswith("… (9900 more).")
