import json
import sys

import pytest
from typer.testing import CliRunner

from warpkit.cli import app

pytestmark = pytest.mark.usefixtures("unchecked")

TRIANGLE = '''
import warpkit as wk


class Triangle(wk.Kernel):
    """Its weights sum to one for a width of 1."""

    def __init__(self, width: float = 1.0):
        super().__init__()
        self.radius, self.width = 1.0, width

    def forward(self, distance):
        return self.width - distance.abs()
'''


@pytest.fixture
def triangle(tmp_path, monkeypatch):
    """A file of one's own, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some_triangle.py").write_text(TRIANGLE)
    return tmp_path / "some_triangle.py"


def run(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_name_is_checked_and_told_as_a_table():
    result = run("bilinear", "--only", "symmetric", "--only", "continuity")
    assert result.exit_code == 0, result.output
    assert "symmetric   passed" in result.output
    assert "kernel Bilinear: 2 passed" in result.output


@pytest.mark.parametrize("target", ["some_triangle:Triangle", "some_triangle.py:Triangle"])
def test_a_class_of_ones_own_is_checked(triangle, target):
    assert run(target).exit_code == 0


def test_a_failure_is_told_with_its_mend_and_exit_code_1(triangle):
    result = run("some_triangle.py:Triangle", "--set", "width=0.9")
    assert result.exit_code == 1
    assert "the sum of the weights = 0.8" in result.output
    assert "`partition_of_unity = False`" in " ".join(result.output.split())


def test_all_of_a_file_is_checked(triangle):
    more = "\n\nclass Wide(Triangle):\n    def __init__(self):\n        super().__init__(1.2)\n\n\nOther = Triangle\n"
    triangle.write_text(TRIANGLE + more)
    result = run(triangle, "--only", "partition_of_unity", "--json")
    assert result.exit_code == 1
    assert [(it["component"], it["passed"]) for it in json.loads(result.stdout)] == [
        ("Triangle", True),
        ("Wide", False),
    ]
    result = run(triangle, "--set", "width=1")
    assert result.exit_code == 2
    assert "some_triangle.py:Triangle" in "".join(result.output.split())


def test_a_file_without_components_is_said_to_be(tmp_path):
    (tmp_path / "empty.py").write_text("import warpkit as wk\nfrom warpkit import Kernel\n")
    result = run(tmp_path / "empty.py")
    assert result.exit_code == 2
    assert "expected a file that defines a kernel, transform or backend" in " ".join(result.output.split())


def test_failures_come_first_and_what_was_not_run_is_one_line(triangle):
    result = run("some_triangle.py:Triangle", "--set", "width=0.9")
    lines = result.output.splitlines()
    assert lines[0].endswith(": failed")
    (left,) = [line for line in lines if " not run: " in line]
    assert "symmetric" in left
    rows = lines[next(i for i, line in enumerate(lines) if line.startswith("check ")) + 1 : lines.index(left) - 1]
    statuses = ["failed" if " failed " in row else "passed" for row in rows if not row.startswith(" ")]
    assert statuses == sorted(statuses)
    assert statuses[0] == "failed"


def test_an_error_of_a_constructor_is_told_with_the_last_line_of_its_file(triangle):
    triangle.write_text(TRIANGLE.replace("self.radius, self.width = 1.0, width", "self.radius = 1.0 / (width - 1)"))
    result = run("some_triangle.py:Triangle")
    assert result.exit_code == 2
    told = " ".join(result.output.split())
    assert "ZeroDivisionError: " in told
    assert "(some_triangle.py, line 10, in __init__: self.radius = 1.0 / (width - 1))" in told
    assert "Traceback" not in result.output


def test_a_file_may_import_what_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "some_width.py").write_text("WIDTH = 1.0\n")
    (tmp_path / "wider.py").write_text("from some_width import WIDTH\n" + TRIANGLE.replace("= 1.0)", "= WIDTH)"))
    monkeypatch.setattr("sys.path", [*sys.path])
    assert run(f"{tmp_path}/wider.py:Triangle", "--only", "symmetric").exit_code == 0


@pytest.mark.parametrize("text", ["import no_such_module", "1 / 0", "def broken("])
def test_a_file_that_cannot_be_imported_is_named(tmp_path, text):
    (tmp_path / "stray.py").write_text(text)
    result = run(tmp_path / "stray.py:Triangle")
    assert result.exit_code == 2
    assert "stray.py cannot be imported" in " ".join(result.output.split())
    assert ("stray.py, line 1, in <module>" in " ".join(result.output.split())) == (text != "def broken(")


def test_json_is_the_report(triangle):
    result = run("some_triangle.py:Triangle", "--set", "width=0.9", "--seed", "7", "--json")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert (data["component"], data["seed"], data["passed"]) == ("Triangle", 7, False)
    assert {r["check"] for r in data["results"] if r["status"] == "failed"} >= {"partition_of_unity"}


@pytest.mark.parametrize("name", ["bicubic", "thin_plate_spline"])
def test_a_picture_is_drawn(name, tmp_path):
    result = run(name, "--only", "survives_copies", "--plot", tmp_path / "it.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "it.png").read_bytes().startswith(b"\x89PNG")


def test_theta_says_where_a_transform_is_tried():
    result = run("affine", "--only", "identity", "--theta", "1", "-0.5", "0", "0.5", "1", "0")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bicubik"], "Did you mean 'bicubic'"),
        (["bicubic", "--only", "symetric"], "Did you mean 'symmetric'"),
        (["bicubic", "--set", "b=1"], "unknown option of kernel 'bicubic' 'b'"),
        (["bicubic", "--theta", "1"], "--theta"),
        (["bicubic", "--plot", "it.xyz"], "cannot draw 'it.xyz'"),
        (["native", "--plot", "it.png"], "a backend has no picture"),
        (["some_triangle:Square"], "has no 'Square'"),
        (["some_triangle.py:Triangle", "--set", "height=1"], "height"),
        (["no_such_file.py:Triangle"], "no such file"),
        (["no_such_module:Triangle"], "cannot be imported"),
    ],
)
def test_bad_input_is_one_red_line_and_exit_code_2(triangle, arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
