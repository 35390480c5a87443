"""The gallery shows everything that warpkit brings, and each picture is what the lines below it make."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from warpkit.kernels.base import kernels
from warpkit.registry import Registry
from warpkit.transforms.base import transforms

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")


def ours(registry: Registry[Any], name: str) -> bool:
    return any(entry.value.startswith("warpkit.") for entry in registry.entries(name))


def test_each_picture_is_what_its_lines_make(tmp_path: Path):
    """Up to what WebP loses; another θ, kernel or padding moves edges, and the difference is several times as large."""
    done = subprocess.run([sys.executable, ROOT / "docs/tools/gallery.py", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = sorted(tmp_path.glob("*.webp"))
    assert len(made) >= 27
    for path in made:
        here, there = (
            np.asarray(Image.open(p).convert("RGB"), float) for p in (path, ROOT / "docs/img/gallery" / path.name)
        )
        assert np.abs(here - there).mean() < 1, path.name


@pytest.mark.parametrize("name", [n for r in (transforms, kernels) for n in r.names() if ours(r, n)])
def test_every_transform_and_kernel_is_shown(name: str):
    assert f"### {name}\n" in PAGE


@pytest.mark.parametrize("mode", ["zeros", "border", "reflection", "wrap", "none"])
def test_every_padding_mode_is_shown(mode: str):
    assert f'padding_mode="{mode}"' in PAGE


@pytest.mark.parametrize("spec", sorted(ROOT.glob("docs/specs/*.toml")), ids=lambda path: path.stem)
def test_every_spec_is_shown_as_it_is(spec: Path):
    assert f"```toml\n{spec.read_text(encoding='utf-8').rstrip()}\n```" in PAGE
    assert f"](img/specs/{spec.stem}.svg)" in PAGE
    assert (ROOT / f"docs/img/specs/{spec.stem}.svg").exists()
