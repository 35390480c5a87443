"""What we are called on the index, how to install us, and the other project whose import name is ours."""

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import warpkit as wk
from warpkit.distribution import NAME, is_ours, to_install, to_upgrade

ROOT = Path(__file__).parent.parent


def installed(folder: Path, name: str, version: str, record: bool = True) -> Path:
    """A folder in which an installer has left a distribution's metadata; a build leaves no RECORD."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if record:
        (info / "RECORD").write_text("warpkit/__init__.py,,\n")
    return folder


def said_by_an_import(folder: Path, program: str = "import warpkit") -> str:
    """The standard error of a Python of its own, in which this folder comes first on the path."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stderr


def test_the_version_is_that_of_our_distribution():
    assert wk.__version__ == version("torch-warpkit")


def test_our_components_are_known_to_be_ours():
    from warpkit.transforms.base import transforms

    assert transforms.entries("affine")[0].distribution == NAME


def test_the_other_project_beside_us_is_warned_of_once_in_one_sentence(tmp_path):
    said = said_by_an_import(installed(tmp_path, "warpkit", "1.5.0"), "import warpkit\nimport warpkit.testing")
    assert said.count("UserWarning") == 1
    assert "warpkit 1.5.0, another distribution with this import name, is installed beside torch-warpkit" in said
    assert "run `pip uninstall warpkit torch-warpkit`" in said
    assert said.startswith("<string>:2: ")  # where it is imported


@pytest.mark.parametrize(("name", "record"), [("warpkit", False), ("warpkit-kaiser", True)])
def test_nothing_is_said_of_what_replaces_no_file_of_ours(tmp_path, name, record):
    """The metadata that a build left in a clone, and a plugin."""
    folder = installed(tmp_path, name, "0.1.0", record)
    assert "is installed beside" not in said_by_an_import(folder)


def test_metadata_that_cannot_be_read_does_not_stop_the_import(tmp_path):
    info = installed(tmp_path, "warpkit", "1.5.0") / "warpkit-1.5.0.dist-info"
    (info / "METADATA").write_bytes(b"\xff\xfe")
    (info / "RECORD").write_bytes(b"\xff\xfe")
    said_by_an_import(tmp_path)


def test_an_extra_is_installed_from_the_clone_in_quotes():
    assert to_install("spec") == "in a clone of warpkit, pip install '.[spec]'"


def test_every_extra_that_a_message_names_exists():
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("not a checkout")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    from warpkit.cli import _EXTRAS

    assert {extra for _, extra in _EXTRAS.values()} <= set(extras)
    assert extras["image"] == ["pillow>=10"]


@pytest.mark.parametrize(("name", "ours"), [("Torch_Warpkit", True), ("warpkit", True), ("warpkit-kaiser", False)])
def test_a_name_is_ours_however_it_is_written(name, ours):
    assert is_ours(name) == ours


def test_upgrading_names_no_distribution():
    assert "pip" not in to_upgrade()
