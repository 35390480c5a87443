import os
import subprocess
import sys
import textwrap
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from warpkit.cli import app, main


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_help_names_every_command_in_its_group():
    result = run("--help")
    assert result.exit_code == 0
    shown = result.stdout
    for group, commands in {
        "Pictures": ("warp", "align", "play"),
        "Plugins": ("list", "info", "new", "check", "bench"),
        "Networks": ("validate", "show", "schema", "build"),
        "Experiments": ("demo", "train", "evaluate", "report"),
    }.items():
        shown = shown.partition(f"─ {group} ─")[2]
        for command in commands:
            assert f"│ {command} " in shown.partition("╰─")[0]


QUICKLY = """
import sys

sys.argv = ["/usr/bin/warpkit", *sys.argv[1:]]
try:
    from warpkit.cli import main  # as the console script does
    main()
finally:
    print(*sorted({"torch", "numpy"} & set(sys.modules)), "at the end", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "words", "says"),
    [
        (["--help"], None, "Pictures"),
        (["--version"], None, "warpkit "),
        (["warp", "--help"], None, "--transform"),
        (["train", "--help"], None, "--seed"),
        ([], "warpkit va", "validate"),
        ([], "warpkit warp --ker", "--kernel"),
    ],
)
def test_help_the_version_and_completion_do_not_wait_for_torch(arguments, words, says):
    completing = {} if words is None else {"_WARPKIT_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment = {**os.environ, **completing, "COMP_CWORD": str(len((words or "").split()) - 1)}
    done = subprocess.run([sys.executable, "-c", QUICKLY, *arguments], env=environment, capture_output=True, text=True)
    assert says in done.stdout
    assert done.stderr.splitlines()[-1].split() == ["at", "the", "end"]


def test_a_plugin_finds_every_public_name_in_the_command_too():
    program = """
        import sys
        sys.argv = ["/usr/bin/warpkit"]
        import warpkit as wk
        assert "torch" not in sys.modules
        assert set(wk.__all__) <= set(dir(wk))
        from warpkit import Kernel, warp
        assert wk.get_kernel("bilinear").radius == 1.0 and wk.datasets and wk.testing
        for name in wk.__all__:
            getattr(wk, name)
        print(hasattr(wk, "no_such_name"))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_spec_that_warps_on_fake_tensors_is_tried_in_the_command(tmp_path):
    """Which imports no more than it needs: the operators too that such tensors go through."""
    spec = tmp_path / "net.toml"
    layer = 'type = "spatial_transformer"\nantialias = true\nlocalization = "conv_localization"\n'
    spec.write_text(f"version = 1\ninput = [1, 28, 28]\n[[layers]]\n{layer}")
    program = (
        "import sys; sys.argv = ['/usr/bin/warpkit', 'validate', sys.argv[1]]; from warpkit.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(spec)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


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


def test_json_is_a_flag_wherever_it_is():
    for name in ("list", "info", "align", "bench", "check", "show", "evaluate"):
        shown = run(name, "--help").stdout
        assert "--json" in shown
        (line,) = [line for line in shown.splitlines() if " --json " in line]
        assert "<bool>" in line
        assert "For programs" in line
