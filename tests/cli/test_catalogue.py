import json
import re
from importlib.metadata import EntryPoint, version
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import app
from warpkit.kernels.base import kernels


def listed() -> dict[tuple[str, str], dict]:
    result = CliRunner().invoke(app, ["list", "--json"])
    assert result.exit_code == 0, result.output
    return {(item["kind"], item["name"]): item for item in json.loads(result.stdout)}


@pytest.fixture
def strangers(monkeypatch):
    """Two plugins: one whose module does not exist, one whose class is no kernel."""
    real = __import__("importlib.metadata").metadata.entry_points
    dist = SimpleNamespace(name="stranger", version="9.9")

    def entry_points(**wanted):
        points = list(real(**wanted))
        if wanted.get("group") == "warpkit.kernels":
            for name, value in (("gone", "no_such_module:Gone"), ("odd", "collections:OrderedDict")):
                point = EntryPoint(name, value, "warpkit.kernels")
                vars(point)["dist"] = dist
                points.append(point)
        return points

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    monkeypatch.setattr(kernels, "_declared", None)


def test_everything_that_has_a_name_is_listed_with_its_origin():
    items = listed()
    for kind, names in (
        ("transform", wk.list_transforms()),
        ("kernel", wk.list_kernels()),
        ("module", wk.list_modules()),
    ):
        assert {name for k, name in items if k == kind} == set(names)
    assert ("backend", "reference") in items
    assert items["transform", "affine"]["origin"] == f"torch-warpkit {version('torch-warpkit')}"


def test_options_come_with_their_defaults_as_data():
    items = listed()
    assert items["kernel", "bicubic"]["options"] == {
        "a": {"required": False, "default": -0.75},
        "learnable": {"required": False, "default": False},
    }
    assert items["transform", "attention"]["options"]["scale"] == {"required": False, "default": None}
    assert items["module", "spatial_transformer"]["options"]["localization"] == {"required": True}


def test_each_has_a_line_that_says_what_it_is():
    for item in listed().values():
        assert item["summary"], item
        assert "\n" not in item["summary"]


def test_a_class_without_a_docstring_does_not_borrow_its_parents(monkeypatch):
    monkeypatch.setattr(kernels, "_registered", dict(kernels._registered))

    @wk.register_kernel("plain")
    class Plain(wk.Kernel):
        radius = 0.5

        def forward(self, distance):
            return distance * 0 + 1

    assert listed()["kernel", "plain"]["summary"] == ""
    assert listed()["kernel", "plain"]["origin"] == f"registered in {__name__}"


def test_a_broken_plugin_is_listed_with_its_error_and_stops_nothing(strangers):
    items = listed()
    assert "No module named 'no_such_module'" in items["kernel", "gone"]["error"]
    assert items["kernel", "gone"]["origin"] == "stranger 9.9"
    assert "is no subclass of Kernel" in items["kernel", "odd"]["error"]
    assert items["kernel", "bilinear"]["error"] is None


@pytest.fixture
def terminal(monkeypatch):
    """What is printed goes to a terminal, 200 columns wide."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")


def test_the_layers_of_torch_are_named_and_not_explained(terminal):
    stdout = CliRunner().invoke(app, ["list"]).stdout
    assert "Conv2d" in stdout
    assert "padding_mode = 'zeros'" in stdout  # of the spatial transformer
    assert "dilation" not in stdout
    assert listed()["module", "Conv2d"]["options"]["dilation"] == {"required": False, "default": 1}


def test_in_a_pipe_each_is_one_line(strangers):
    result = CliRunner().invoke(app, ["list"])
    lines = [re.split("  +", line, maxsplit=3) for line in result.stdout.splitlines()]
    assert [(kind, name) for kind, name, *_ in lines] == list(listed())
    (bicubic,) = [line for line in lines if line[:2] == ["kernel", "bicubic"]]
    assert bicubic[2] == f"torch-warpkit {version('torch-warpkit')}"
    assert bicubic[3].endswith("(a = -0.75, learnable = False)")
    (gone,) = [line for line in lines if line[1] == "gone"]
    assert gone[3].startswith("broken: ")


@pytest.mark.parametrize("kind", ["kernels", "kernel"])
def test_one_kind_is_listed_alone(kind):
    result = CliRunner().invoke(app, ["list", kind, "--json"])
    assert [item["name"] for item in json.loads(result.stdout)] == wk.list_kernels()


def test_an_unknown_kind_gets_the_nearest():
    result = CliRunner().invoke(app, ["list", "kernles"])
    assert result.exit_code == 2
    assert "Did you mean 'kernels'" in result.stderr


@pytest.mark.parametrize("columns", ["30", "44", "80"])
def test_a_name_is_never_cut(terminal, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    shown = CliRunner().invoke(app, ["list"]).stdout
    for name in [*wk.list_transforms(), *wk.list_kernels(), "spatial_transformer", "conv_localization"]:
        assert name in shown


def test_the_table_shows_the_same(strangers, terminal):
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    for word in (
        "transforms",
        "kernels",
        "modules",
        "backends",
        "thin_plate_spline",
        "a = -0.75",
        "stranger 9.9",
        "broken: ",
    ):
        assert word in result.stdout
