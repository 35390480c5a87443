"""What others wrote is text on the terminal: neither rich's markup nor a control sequence."""

import json
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from rich.progress import Progress, TextColumn
from rich.table import Table
from typer.testing import CliRunner

from warpkit.cli import app
from warpkit.cli.terminal import Terminal, harmless, say, say_json
from warpkit.kernels.base import kernels

pytestmark = pytest.mark.usefixtures("unchecked")

ODD = "a\x1b[2J\x9b1m\u202eb[/bold][red]:smile:"
ODD_SHOWN = r"a\x1b[2J\x9b1m\u202eb[/bold][red]:smile:"


def run(*words):
    result = CliRunner().invoke(app, [*map(str, words)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.output.replace("\n", "").isprintable()
    return result.exit_code, result.output


def test_a_table_a_bar_and_a_line_show_it_as_it_is(capsys):
    terminal = Terminal(width=200)
    table = Table(ODD, title=ODD)
    table.add_row(ODD)
    terminal.print(table)
    terminal.print(f"{ODD}\nnext")
    with Progress(TextColumn("{task.description}", markup=False), console=terminal) as progress:
        progress.add_task(ODD)
    say(ODD)
    told = capsys.readouterr().out
    assert told.count(ODD_SHOWN) >= 5
    assert "\nnext" in told
    assert not set(told) & {"\x1b", "\x9b", "\u202e"}


def test_lines_stay_lines():
    assert harmless("one\ntwo\r\t") == "one\ntwo\\r\\t"


def test_json_is_escaped_as_json_is(capsys):
    data = {"é": [ODD, "\U000e0001"]}
    say_json(data)
    told = capsys.readouterr().out
    assert json.loads(told) == data
    assert told.replace("\n", "").isprintable()
    assert "é" in told


KERNEL = """
import warpkit as wk


class Odd(wk.Kernel):
    radius = 1.0

    def forward(self, distance):
        raise ValueError("expected [n, 3], got [/bold] \\x1b[2J")
"""


def test_what_a_checked_plugin_says_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "odd_kernel.py").write_text(KERNEL)
    code, output = run("check", "odd_kernel.py:Odd")
    assert code == 1
    assert "expected [n, 3], got [/bold] " in output


@pytest.mark.parametrize(
    "text", ["raise SystemExit", "raise GeneratorExit", "class E(BaseException): 0\nraise E('[/x]')"]
)
def test_a_checked_file_that_wants_to_end_the_process_does_not(tmp_path, monkeypatch, text):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "ends.py").write_text(text)
    code, output = run("check", f"{tmp_path}/ends.py:Odd")
    assert code == 2
    assert "cannot be imported" in output


def test_keys_and_paths_of_a_spec_are_shown(tmp_path):
    file = tmp_path / "net[bold]\x1b[2J.json"
    file.write_text(json.dumps({"input": [1, 8, 8], "layers": [{"type": "ReLU", ODD: ODD}], "[/x]": 1}))
    code, output = run("validate", file)
    assert code == 2
    assert "layers[0].a" in output
    assert "[/x]" in output
    file.write_text(json.dumps({"inputs": {ODD: [1, 8, 8]}, "layers": ["ReLU"]}))
    code, output = run("show", file, "-d", tmp_path / "net[x].svg")
    assert code == 0
    assert ODD_SHOWN[:12] in output
    assert "\x1b" not in (tmp_path / "net[x].svg").read_text(encoding="utf-8")


def test_a_large_diagram_has_no_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("warpkit.cli.show._PIXELS", 10**5)
    file = tmp_path / "net.json"
    file.write_text(json.dumps({"layers": ["Flatten"] * 9}))
    code, output = run("show", file, "-d", tmp_path / "net.png")
    assert code == 2
    assert "draw it as .svg or .pdf" in output


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """Plugins whose names and versions are odd, and whose modules end the process or cannot be looked at."""
    (tmp_path / "hostile_end.py").write_text("class End(BaseException): pass\nraise End('[/bold]\\x1b[2J')\n")
    (tmp_path / "hostile_look.py").write_text(
        "import warpkit as wk\n"
        "class Odd:\n    def __repr__(self): raise KeyError\n"
        "class Look(wk.Kernel):\n"
        "    __doc__ = 3\n"
        "    def __init__(self, a=Odd()): super().__init__()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    real = __import__("importlib.metadata").metadata.entry_points
    dist = SimpleNamespace(name=f"stranger{ODD}", version=ODD)

    def entry_points(**wanted):
        points = list(real(**wanted))
        if wanted.get("group") == "warpkit.kernels":
            for name, value in ((f"end{ODD}", "hostile_end:End"), ("look", "hostile_look:Look")):
                point = EntryPoint(name, value, "warpkit.kernels")
                vars(point)["dist"] = dist
                points.append(point)
        return points

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    monkeypatch.setattr("warpkit.cli.info.entry_points", entry_points)
    monkeypatch.setattr(kernels, "_declared", None)
    yield
    kernels._declared = None


def test_odd_plugins_are_listed_and_stop_nothing(hostile, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    code, output = run("list")
    assert code == 0
    assert "[/bold]" in output
    assert "thin_plate_spline" in output
    items = {item["name"]: item for item in json.loads(run("list", "--json")[1])}
    assert items[f"end{ODD}"]["error"]
    assert items["look"]["error"]
    assert items["bilinear"]["error"] is None


def test_odd_plugins_stop_neither_schema_nor_info(hostile):
    code, output = run("schema")
    assert code == 0
    assert "kernel.bilinear" in output
    code, output = run("info")
    assert code == 0
    assert "stranger" in output
