"""README and docs say what is true: their code runs and prints what they show, and no link is dead."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

import warpkit as wk
from warpkit.training.experiment import plans

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("plugins/*/README.md"))]
FENCE = re.compile(
    r"^(?:<!-- needs: (?P<needs>\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]+)")


class Block(NamedTuple):
    """A fenced block; `needs` is the package named in a comment `<!-- needs: package -->` above it."""

    language: str
    text: str
    line: int  # of its first line of text, from 0
    needs: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = FENCE.finditer(text)
    return [Block(m["language"], m["text"], text.count("\n", 0, m.start("text")), m["needs"]) for m in found]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def having(language: str) -> list[Path]:
    return [page for page in PAGES if any(b.language == language for b in blocks(page))]


def installed(package: str | None) -> bool:
    try:
        return package is None or importlib.metadata.distribution(package) is not None
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.parametrize("page", having("python"), ids=name)
def test_the_code_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path):
    """A text block right after a python block is what it prints."""
    script, shown, left_out, before = [], [], [], None
    for block in blocks(page):
        if block.language == "python" and not installed(block.needs):
            left_out.append(block.needs)
        elif block.language == "python":
            script += [""] * (block.line - len(script)) + block.text.splitlines()  # so that line numbers are the page's
        elif block.language == "text" and before and before.language == "python" and installed(before.needs):
            shown.append(block.text)
        before = block
    file = tmp_path / f"page_{page.stem}.py"
    file.write_text("\n".join(script), encoding="utf-8")
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, f"{name(page)}\n{done.stderr}"
    for text in shown:
        assert text in done.stdout, f"{name(page)} shows\n{text}\nand its code printed\n{done.stdout}"
    if left_out:
        pytest.skip(f"all but what needs {', '.join(sorted(set(left_out)))}, not installed, ran")


@pytest.mark.parametrize("page", having("toml"), ids=name)
def test_the_toml_of_a_page_is_right_and_its_specs_build(page: Path, tmp_path: Path):
    for block in blocks(page):
        if block.language == "toml":
            data = tomllib.loads(block.text)
            if "models" in data:
                (tmp_path / "experiment.toml").write_text(block.text, encoding="utf-8")
                assert plans(tmp_path / "experiment.toml")
            elif "version" in data:
                wk.build(data)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=name)
def test_links_and_pictures_lead_somewhere(page: Path):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    missing = [m["target"] for m in LINK.finditer(text) if not (page.parent / m["target"]).exists()]
    assert not missing
