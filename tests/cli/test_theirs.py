"""Errors in the code of installed plugins, and entry points in groups that nothing reads."""

import sys

import pytest
from typer.testing import CliRunner

import warpkit as wk
from warpkit.cli import app
from warpkit.groups import strays
from warpkit.kernels.base import kernels
from warpkit.transforms.base import transforms

pytestmark = pytest.mark.usefixtures("unchecked")

PLUGIN = """
import warpkit as wk
from brittle_parts import inverse


class Brittle(wk.Kernel):
    radius = 1.0

    def __init__(self, width=0.0):
        super().__init__()
        self.width = inverse(width)


class Moves(wk.MatrixTransform):
    ndim, num_params = 2, 2
"""
PARTS = """
def inverse(width):
    return 1 / width
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Makes a distribution with these entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for registry in (kernels, transforms):
        monkeypatch.setattr(registry, "_declared", None)
        monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))

    def make(text: str) -> None:
        info = tmp_path / "brittle-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brittle\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(text)
        (tmp_path / "brittle.py").write_text(PLUGIN)
        (tmp_path / "brittle_parts.py").write_text(PARTS)

    yield make
    for name in ("brittle", "brittle_parts"):
        sys.modules.pop(name, None)
    kernels._declared = transforms._declared = None


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def test_an_installed_plugin_s_error_is_a_message_with_the_last_line_of_its_package(install):
    install("[warpkit.kernels]\nbrittle = brittle:Brittle\n")
    result = run("check", "brittle")
    assert result.exit_code == 2
    assert "error in a plugin: ZeroDivisionError" in result.stderr
    assert "brittle.py, line 11, in __init__: self.width = inverse(width))" in result.stderr
    assert "Traceback" not in result.output


def test_an_error_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("warpkit.cli.info.collect", lambda: 1 / 0)
    assert isinstance(run("info").exception, ZeroDivisionError)


@pytest.mark.parametrize("group", ["warpkit.kernel", "warpkit_kernels", "Warpkit.Kernels", "warpkit.kernles"])
def test_a_misspelt_group_is_named(install, group):
    install(f"[{group}]\nbrittle = brittle:Brittle\n")
    said = f"brittle 1.5 declares 'brittle' in the entry-point group '{group}', which nothing reads. "
    said += "Did you mean 'warpkit.kernels'?"
    assert f"warpkit: {said}\n" in run("list", "kernels").stderr
    assert "a group that nothing reads" in " ".join(run("info").stdout.split())
    with pytest.raises(wk.InputError) as told:
        wk.get_kernel("brittle")
    assert told.value.hint == said


def test_a_group_that_is_like_no_other_is_named_with_those_that_are_read(install):
    install("[warpkit.colours]\nred = brittle:Brittle\n")
    (stray,) = strays()
    assert "These are: warpkit.transforms, warpkit.kernels, warpkit.modules, warpkit.backends." in str(stray)


@pytest.mark.parametrize("group", ["console_scripts", "torch.backends", "warpkiting_tools"])
def test_groups_of_others_are_left_alone(install, group):
    install(f"[{group}]\nbrittle = brittle:Brittle\n")
    assert strays() == []


def test_a_component_in_the_group_of_another_kind_is_told_its_own(install):
    install("[warpkit.transforms]\nbrittle = brittle:Brittle\n[warpkit.kernels]\nmoves = brittle:Moves\n")
    with pytest.raises(wk.InputError, match=r"it is a kernel: declare it in the entry-point group 'warpkit\.kernels'"):
        wk.get_transform("brittle")
    with pytest.raises(wk.InputError, match=r"it is a transform: .*'warpkit\.transforms'"):
        wk.get_kernel("moves")
