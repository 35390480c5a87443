"""A user's script runs; CI lets type checkers read it beside an installed wheel."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "typed" / "script.py"


def test_what_the_type_checkers_pass_runs(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "for Affine" in done.stdout
