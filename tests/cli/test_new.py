import datetime
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from scipy.interpolate import BSpline
from typer.testing import CliRunner

from warpkit.cli import app, new

EACH = [("kernel", "soft-spline"), ("transform", "whorl")]


def run(*arguments: object):
    return CliRunner().invoke(app, ["new", *map(str, arguments)])


def written(kind: str, name: str, folder: Path) -> Path:
    result = run(kind, name, "--in", folder)
    assert result.exit_code == 0, result.output
    return folder / f"warpkit-{name.replace('_', '-')}"


def install(package: Path) -> Path:
    """What pip leaves behind, without pip: a folder whose metadata has the entry point."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = package.parent / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    lines = [f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"]
    (info / "METADATA").write_text("".join(lines))
    ((group, points),) = project["entry-points"].items()
    (info / "entry_points.txt").write_text(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
    return info.parent


@pytest.fixture
def load(monkeypatch):
    """The class that a written package declares."""
    modules = []

    def find(package: Path) -> type:
        project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
        ((_, points),) = project["entry-points"].items()
        ((_, value),) = points.items()
        module, _, cls = value.partition(":")
        modules.append(module.partition(".")[0])
        monkeypatch.syspath_prepend(str(package / "src"))
        return getattr(importlib.import_module(module), cls)

    yield find
    for name in [name for name in sys.modules if name.partition(".")[0] in modules]:
        del sys.modules[name]


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_package_is_complete(tmp_path, kind, name):
    package, word = written(kind, name, tmp_path), name.replace("-", "_")
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        f"src/warpkit_{word}/__init__.py",
        f"src/warpkit_{word}/{word}.py",
        f"src/warpkit_{word}/py.typed",
        f"tests/test_{word}.py",
    }
    for path in package.rglob("*.py"):
        compile(path.read_text(), path, "exec")
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    cls = "".join(map(str.capitalize, word.split("_")))
    assert project["entry-points"] == {f"warpkit.{kind}s": {word: f"warpkit_{word}.{word}:{cls}"}}
    assert project["optional-dependencies"]["test"] == ["torch-warpkit[testing]", "pytest>=8"]
    assert project["dependencies"] == ["torch-warpkit>=0.1"]
    year = datetime.date.today().year
    assert f"Copyright (c) {year} The warpkit-{name} developers\n" in (package / "LICENSE").read_text()
    assert not any("$" in path.read_text() for path in package.rglob("*") if path.is_file())


def test_the_next_three_commands_are_told_and_can_be_copied(tmp_path):
    folder = tmp_path / "my plugins"
    folder.mkdir()
    lines = run("kernel", "glow", "--in", folder).stdout.splitlines()
    start = lines.index("Next:") + 1
    assert lines[start : start + 3] == [f"  cd '{folder}/warpkit-glow'", "  pip install -e '.[test]'", "  pytest"]
    assert f"  {folder}/warpkit-glow/src/warpkit_glow/glow.py" in lines


def test_without_a_folder_it_goes_to_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "  cd warpkit-glow\n" in run("kernel", "glow").stdout
    assert (tmp_path / "warpkit-glow" / "pyproject.toml").is_file()


@pytest.mark.parametrize(("kind", "name"), [EACH[0], pytest.param(*EACH[1], marks=pytest.mark.exhaustive)])
def test_it_passes_its_own_tests(tmp_path, kind, name):
    """In a process of its own, as its author runs them."""
    package = written(kind, name, tmp_path)
    paths = [str(package / "src"), str(install(package)), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error::UserWarning"],
        cwd=package,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kernel_is_the_b_spline_that_it_says_it_is(tmp_path, load):
    kernel = load(written("kernel", "soft-spline", tmp_path))()
    d = torch.linspace(-1.5, 1.5, 301, dtype=torch.float64)
    spline = BSpline.basis_element([-1.5, -0.5, 0.5, 1.5])
    torch.testing.assert_close(kernel(d), torch.as_tensor(spline(d.numpy())))
    assert kernel.table(torch.float64).shape == (1, 3, 3)


def test_the_transform_is_the_swirl_that_it_says_it_is(tmp_path, load):
    swirl = load(written("transform", "whorl", tmp_path))()
    points, theta = torch.randn(2, 9, 2, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    assert torch.equal(swirl(swirl.identity()[None], points.float()), points.float())
    z, (turn, twist) = torch.view_as_complex(points), theta[:, :, None].unbind(1)
    expected = z * torch.exp(1j * (turn + twist * torch.exp(-z.abs().square())))
    torch.testing.assert_close(swirl(theta, points), torch.view_as_real(expected))
    torch.testing.assert_close(swirl(swirl.inverse(theta), swirl(theta, points)), points)


@pytest.mark.parametrize("name", ["float", "tensor", "kernel", "torch", "match"])
def test_a_name_that_is_used_in_the_file_does_no_harm(tmp_path, load, name):
    cls = load(written("kernel", name, tmp_path))
    assert cls().table() is not None
    assert cls.__name__.startswith(name.capitalize())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kernal", "glow"), "unknown kind of plugin 'kernal'. Did you mean 'kernel'"),
        (("kernel", "MyGlow"), "got 'MyGlow'. Did you mean 'my_glow'?"),
        (("kernel", "glow.py"), "got 'glow.py'. Did you mean 'glow_py'?"),
        (("kernel", "2d"), "a letter first, got '2d'"),
        (("kernel", "__init__"), "got '__init__'"),
        (("kernel", "a--b"), "got 'a--b'. Did you mean 'a_b'?"),
        (("kernel", "größe"), "got 'größe'"),
        (("kernel", ""), "got ''"),
        (("kernel", "../glow"), "got '../glow'. Did you mean 'glow'?"),
        (("kernel", "class"), "'class' is a keyword of Python"),
        (("kernel", "bicubic"), "kernel 'bicubic' is taken by warpkit.kernels.bicubic:Bicubic (torch-warpkit "),
        (("transform", "thin-plate-spline"), "transform 'thin_plate_spline' is taken by"),
        (("kernel", "x" * 300), "cannot be written"),
        (("kernel", "glow", "--in", "nowhere"), "--in: expected a folder, got 'nowhere'"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_an_installed_package_is_not_taken_from_it(tmp_path, monkeypatch):
    """A kernel and a transform of one name are two components, but would be one package."""
    site = install(written("transform", "glow", tmp_path))
    monkeypatch.syspath_prepend(str(site))
    (tmp_path / "other").mkdir()
    result = run("kernel", "glow", "--in", tmp_path / "other")
    assert result.exit_code == 2
    assert "a package warpkit-glow (0.1.0) is installed already" in result.stderr
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize("kind_of_thing", ["folder", "empty folder", "file", "dead link"])
def test_what_is_there_is_left_as_it_is(tmp_path, kind_of_thing):
    target = tmp_path / "warpkit-glow"
    if kind_of_thing == "file":
        target.write_text("mine")
    elif kind_of_thing == "dead link":
        target.symlink_to(tmp_path / "gone")
    else:
        target.mkdir()
    if kind_of_thing == "folder":
        (target / "mine.txt").write_text("mine")
    result = run("kernel", "glow", "--in", tmp_path)
    assert result.exit_code == 2
    assert f"{target} is there already, and is left as it is" in result.stderr
    assert list(tmp_path.iterdir()) == [target]
    if kind_of_thing == "folder":
        assert [path.read_text() for path in target.iterdir()] == ["mine"]


def test_an_error_half_way_leaves_nothing(tmp_path, monkeypatch):
    real, calls = Path.write_text, []

    def write_text(self, *arguments, **options):
        calls.append(self)
        if len(calls) == 5:
            raise OSError(28, "No space left on device")
        return real(self, *arguments, **options)

    monkeypatch.setattr(new.Path, "write_text", write_text)
    result = run("transform", "glow", "--in", tmp_path)
    assert result.exit_code == 2
    assert "warpkit-glow cannot be written: No space left on device" in result.stderr
    assert len(calls) == 5
    assert list(tmp_path.iterdir()) == []


def test_templates_are_packaged():
    """By the patterns in pyproject.toml, or an installed warpkit would have none."""
    root = Path(new.__file__).parents[2]
    if not (root / "pyproject.toml").is_file():
        pytest.skip("not a checkout")
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["warpkit.cli"]
    folder = Path(new.__file__).parent
    packed = {path for pattern in patterns for path in folder.glob(pattern)}
    assert packed == {path for path in (folder / "templates").rglob("*") if path.is_file()}
