import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from warpkit.cli import app, main


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_help_names_every_command():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("demo", "list", "warp", "info", "bench"):
        assert command in result.stdout


def test_the_version_is_the_distribution_s():
    assert run("--version").stdout == f"warpkit {version('torch-warpkit')}\n"


def test_an_unknown_command_or_option_is_a_usage_error():
    assert run("wrap").exit_code == 2
    assert run("info", "--jsno").exit_code == 2


def test_the_console_command_ends_with_code_2_and_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["warpkit", "demo", "--distortion", "rst"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("warpkit: unknown distortion 'rst'. Did you mean 'rts'")


ALONE = """
import sys
from typer.testing import CliRunner
from warpkit.cli import app

print({"matplotlib", "PIL", "pydantic"} & set(sys.modules))
for module, command in (("PIL", ["warp", "a.png", "b.png"]), ("matplotlib", ["demo"])):
    sys.modules[module] = None  # as if it were not installed
    result = CliRunner().invoke(app, command)
    print(result.exit_code, result.stderr.strip())
"""


def test_extras_are_loaded_late_and_a_missing_one_says_what_to_install():
    """In a process of its own: other tests have imported them here."""
    said = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [
        "set()",
        "2 warpkit: this needs Pillow: in a clone of warpkit, pip install '.[image]'",
        "2 warpkit: this needs Matplotlib: in a clone of warpkit, pip install '.[demo]'",
    ]
