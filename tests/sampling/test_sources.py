"""The C++ can be read file by file: each header includes what it uses."""

import shutil
import subprocess
from pathlib import Path

import pytest

import warpkit

SOURCES = Path(warpkit.__file__).parent / "sampling" / "csrc"
HEADERS = sorted(path.name for path in SOURCES.glob("*.h"))


@pytest.mark.exhaustive
@pytest.mark.skipif(shutil.which("g++") is None or not HEADERS, reason="needs a compiler and a checkout")
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_opens_alone(header):
    from torch.utils.cpp_extension import include_paths

    includes = [f"-I{path}" for path in include_paths()]
    call = ["g++", "-std=c++17", "-fsyntax-only", "-Wno-psabi", "-DTORCH_TARGET_VERSION=0x020a000000000000", *includes]
    done = subprocess.run([*call, "-x", "c++", SOURCES / header], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
