"""The table of kernels in the docs says what the kernels say of themselves, and leaves none out."""

import ast
import re
from pathlib import Path

import pytest

import warpkit as wk
from warpkit.kernels.base import kernels

PAGE = Path(__file__).parents[2] / "docs/reference/kernels.md"
ROWS = re.findall(r"^\| `([\"{].*?)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
DEGREES = ["nothing", "constants", "straight lines", "quadratics", "cubics"]


@pytest.mark.parametrize(("given", "cells"), ROWS)
def test_a_row_says_what_the_kernel_claims(given, cells):
    options = ast.literal_eval(given)
    kernel = wk.get_kernel(
        **{"name": options} if isinstance(options, str) else {"name": options.pop("type"), **options}
    )
    reproduces = kernel.reproduces if kernel.reproduces is not None else kernel.partition_of_unity - 1
    said = [
        f"{kernel.radius:g}",
        f"{kernel.taps}",
        "it jumps" if kernel.continuity == -1 else f"C{kernel.continuity}",
        DEGREES[reproduces + 1],
        "yes" if kernel.interpolating else "no",
        "yes" if kernel.partition_of_unity else "no",
    ]
    assert cells.split(" | ") == said


def test_every_built_in_kernel_has_a_row():
    built_in = {name for name in wk.list_kernels() if kernels.entries(name)[0].value.startswith("warpkit.")}
    described = {ast.literal_eval(given) for given, _ in ROWS if given.startswith('"')}
    assert built_in <= described
