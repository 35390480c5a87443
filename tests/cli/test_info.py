import json
import platform
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import torch
from typer.testing import CliRunner

from warpkit.cli import app


def facts() -> dict:
    result = CliRunner().invoke(app, ["info", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_it_tells_what_a_bug_report_needs():
    known = facts()
    assert known["torch"] == torch.__version__
    assert platform.python_version() in known["python"]
    assert known["threads"] == torch.get_num_threads()
    assert known["packages"]["numpy"][0].isdigit()


def test_it_tells_which_backend_is_chosen():
    states = facts()["backends"].values()
    assert sum(state.startswith("chosen") for state in states) == 1


def test_plugins_are_the_distributions_that_declare_something(monkeypatch):
    point = EntryPoint("sharp", "no_such_module:Sharp", "warpkit.kernels")
    vars(point)["dist"] = SimpleNamespace(name="stranger", version="9.9")
    monkeypatch.setattr("warpkit.cli.info.entry_points", lambda group: [point] if group == "warpkit.kernels" else [])
    assert facts()["plugins"] == {"stranger 9.9": ["kernel sharp"]}


def test_the_table_shows_the_same():
    result = CliRunner().invoke(app, ["info"])
    assert result.exit_code == 0
    for name, value in facts().items():
        assert name in result.stdout
        if isinstance(value, str):
            assert value in result.stdout
