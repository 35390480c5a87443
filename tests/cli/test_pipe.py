"""`warpkit warp - -`: photographs that come from a pipe and leave by one."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from warpkit.cli import app

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
FLIP = ("--theta", "-1 0 0 0 1 0")


def file(kind: str) -> bytes:
    held = BytesIO()
    Image.fromarray(PIXELS).save(held, kind)
    return held.getvalue()


def run(*words, data: bytes = b""):
    return CliRunner().invoke(app, ["warp", *map(str, words)], input=data)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_stdin_goes_to_stdout_in_its_own_format(kind):
    result = run("-", "-", *FLIP, data=file(kind))
    assert result.exit_code == 0, result.stderr
    with Image.open(BytesIO(result.stdout_bytes)) as image:
        assert image.format == kind
        assert (np.asarray(image) == PIXELS[:, ::-1]).all()
    assert "9 × 6 pixels" in result.stderr  # stdout is the picture alone


def test_the_format_may_be_named():
    result = run("-", "-", "--format", "png", *FLIP, data=file("BMP"))
    with Image.open(BytesIO(result.stdout_bytes)) as image:
        assert image.format == "PNG"


def test_a_file_goes_to_stdout_and_stdin_into_a_file(tmp_path):
    (tmp_path / "in.png").write_bytes(file("PNG"))
    result = run(tmp_path / "in.png", "-", *FLIP)
    assert (np.asarray(Image.open(BytesIO(result.stdout_bytes))) == PIXELS[:, ::-1]).all()
    result = run("-", tmp_path / "out.png", *FLIP, data=file("PNG"))
    assert (np.asarray(Image.open(tmp_path / "out.png")) == PIXELS[:, ::-1]).all()
    assert "9 × 6 pixels" in result.stdout


@pytest.mark.parametrize(
    ("words", "data", "said"),
    [
        (["-", "-"], b"no picture", "stdin"),
        (["-", "-"], b"", "stdin"),
        (["-", "-", "--format", "xyz"], file("PNG"), "cannot write a picture with '.xyz'"),
        (["-", "out.png", "--format", "png"], file("PNG"), "the suffix of OUT names the format"),
    ],
)
def test_what_cannot_be_is_one_line(words, data, said):
    result = run(*words, data=data)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout_bytes == b""
