"""The table of kernels in the docs says what the kernels say of themselves, and leaves none out."""

import ast
import re
from pathlib import Path

import pytest

import warpkit as wk
from warpkit.kernels.base import kernels

PAGE = Path(__file__).parents[2] / "docs/reference/kernels.md"
ROWS = re.findall(r"^\| `(\w+)` \| `?(.*?)`? \| ([\d.]+ \|.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
DEGREES = ["nothing", "constants", "straight lines", "quadratics", "cubics", "quartics", "quintics"]


def options(text):
    """Options as they are written in a call."""
    call = ast.parse(f"dict({text})", mode="eval").body
    return {option.arg: ast.literal_eval(option.value) for option in call.keywords}


@pytest.mark.parametrize(("name", "given", "cells"), ROWS)
def test_a_row_says_what_the_kernel_claims(name, given, cells):
    kernel = wk.get_kernel(name, **options(given))
    constants = 0 if kernel.partition_of_unity else -1
    said = [
        f"{kernel.radius:g}",
        f"{kernel.taps}",
        "it jumps" if kernel.continuity == -1 else f"C{kernel.continuity}",
        DEGREES[1 + (constants if kernel.reproduces is None else kernel.reproduces)],
        "yes" if kernel.interpolating else "no",
    ]
    assert cells.split(" | ") == said


def test_every_built_in_kernel_has_a_row():
    built_in = {name for name in wk.list_kernels() if kernels.entries(name)[0].value.startswith("warpkit.")}
    assert built_in <= {name for name, _, _ in ROWS}
