"""What <TAB> gives, as a shell asks for it; and that no choice is left out."""

import os
import subprocess
import sys

import pytest

import warpkit as wk
from warpkit.benchmark.peers import PEERS
from warpkit.benchmark.workloads import WORKLOADS
from warpkit.cli import completing
from warpkit.testing.backends import backend_checks
from warpkit.testing.kernels import kernel_checks
from warpkit.testing.transforms import transform_checks

COMPLETE = """
import sys

sys.argv = ["/usr/bin/warpkit"]
try:
    from warpkit.cli import main

    main()
finally:
    print(*sorted({"torch", "numpy"} & set(sys.modules)), "at the end", file=sys.stderr)
"""


def tab(line: str) -> list[str]:
    """What bash is given after the last letter of this line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_WARPKIT_COMPLETE": "complete_bash"}
    done = subprocess.run([sys.executable, "-c", COMPLETE], env=os.environ | words, capture_output=True, text=True)
    assert done.stderr.split() == ["at", "the", "end"]  # and torch was not waited for
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("warpkit warp --transform thin", ["thin_plate_spline"]),
        ("warpkit warp --kernel bilinear,bic", ["bilinear,bicubic"]),
        ("warpkit warp --padding wrap,b", ["wrap,border"]),
        ("warpkit align --loss n", ["ncc"]),
        ("warpkit check bicu", ["bicubic"]),
        ("warpkit list k", ["kernels"]),
        ("warpkit new tr", ["transform"]),
        ("warpkit train rt", ["rts"]),
        ("warpkit train r --model st_cnn_t", ["st_cnn_tps"]),
        ("warpkit demo --distortion rt", ["rts"]),
        ("warpkit bench --direction f", ["forward"]),
        ("warpkit bench --workload vol", ["volume"]),
        ("warpkit bench --peer kornia-", ["kornia-rs"]),
        ("warpkit check bicubic --only symm", ["symmetric"]),
        ("warpkit build net.toml --out models/net", ["models/net.pt2", "models/net.onnx"]),
        ("warpkit build net.toml --out net.v2.o", ["net.v2.onnx"]),
    ],
)
def test_choices_are_completed_without_torch(line, given):
    assert tab(line) == given


def test_every_name_is_completed():
    assert completing.names("kernel")("") == wk.list_kernels()
    assert completing.names("transform")("") == wk.list_transforms()
    assert completing.workloads("") == sorted(WORKLOADS)
    assert completing.peers("") == sorted(PEERS)
    every = (kernel_checks, transform_checks, backend_checks)
    assert completing.checks("") == sorted({name for checks in every for name in checks.names()})


def test_files_are_completed_beside_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "mine.py").touch()
    (tmp_path / "kernels" / "mine.txt").touch()
    assert "kernels/" in completing.targets("k")
    assert completing.targets("kernels/") == ["kernels/mine.py"]
    assert completing.experiments("no_such_folder/") == []
