"""What is released: the source distribution is whole, the index's page leads somewhere, no advice fetches strangers."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
HOME = "https://example.org/someone/warpkit"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
SOURCES = [path for pattern in ("**/*.py", "**/*.in", "**/page.md") for path in ROOT.glob(f"warpkit/{pattern}")]
# What comes from the index by a name of ours, or by the other project's.
FETCHED = re.compile(r"(pip install|uv add|uv pip install)[^`#\n]*?[ '\"](torch-)?warpkit(?![\w./-])")

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="not a checkout")


@pytest.fixture
def setup(monkeypatch):
    """The functions of setup.py, and what it hands to setuptools."""
    setuptools, handed = pytest.importorskip("setuptools"), {}
    monkeypatch.setattr(setuptools, "setup", handed.update)
    monkeypatch.chdir(ROOT)
    return runpy.run_path(str(ROOT / "setup.py")) | {"handed": handed}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_no_message_and_no_page_fetches_a_strangers_project():
    advice = [(path.name, m[0]) for path in PAGES + SOURCES for m in FETCHED.finditer(path.read_text(encoding="utf-8"))]
    assert advice == []


@pytest.mark.parametrize("line", ["pip install warpkit", "pip install 'warpkit[spec]'", "pip install -U torch-warpkit"])
def test_such_advice_would_be_found(line):
    assert FETCHED.search(line)


def test_links_and_pictures_of_the_index_s_page_are_absolute(setup):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = setup["description"](readme, HOME, "1.2.3")
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL))
    assert targets
    assert [t for t in targets if not t.startswith("https://")] == []
    assert f"]({HOME}/raw/v1.2.3/docs/img/warps.png)" in page
    assert f"[Contributing]({HOME}/blob/v1.2.3/CONTRIBUTING.md)" in page
    assert re.findall(r"^```.*?^```$", page, re.M | re.S) == re.findall(r"^```.*?^```$", readme, re.M | re.S)


def test_without_a_public_address_no_link_is_dead(setup):
    text = (
        "![A picture](docs/a.png)\n[a page](docs/a.md), [theirs](https://x.org), [here](#b)\n```python\nf[0](x)\n```\n"
    )
    assert setup["description"](text, "", "1") == (
        "\na page, [theirs](https://x.org), [here](#b)\n```python\nf[0](x)\n```\n"
    )
    assert setup["urls"]("") == {}
    assert setup["urls"](HOME)["Issues"] == f"{HOME}/issues"


def test_the_address_stands_in_one_place(setup, project):
    """Which CITATION.cff, read by others, repeats."""
    home = project["tool"]["warpkit"]["repository"]
    assert setup["handed"]["project_urls"] == setup["urls"](home)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.get("repository-code", "") == home
    assert citation["version"] == project["project"]["version"]
    assert citation["license"] == project["project"]["license"]
    assert citation["abstract"] == project["project"]["description"]


def test_a_release_is_refused_for_each_thing_that_is_missing(tmp_path):
    wrong = runpy.run_path(str(ROOT / ".ci" / "check_release.py"))["wrong"]
    for name in ("pyproject.toml", "CITATION.cff", "CHANGELOG.md"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n")
    assert len(wrong(tmp_path, "v9", "https://example.org/other")) == 4

    text = re.sub(
        r'^repository = ".*"', f'repository = "{HOME}"', (tmp_path / "pyproject.toml").read_text(), flags=re.M
    )
    (tmp_path / "pyproject.toml").write_text(text)
    version = tomllib.loads(text)["project"]["version"]
    (tmp_path / "CITATION.cff").write_text(f"version: {version}\nrepository-code: {HOME}\n")
    (tmp_path / "CHANGELOG.md").write_text(f"## [{version}] - 2030-01-01\n")
    assert wrong(tmp_path, f"v{version}", HOME) == []


def test_the_source_distribution_holds_every_file_of_the_repository(tmp_path):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    made = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True)
    held = set((tmp_path / "torch_warpkit.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines())
    there = {name for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    assert there - held == {".gitignore"}


def test_the_workflow_that_publishes_has_no_secret():
    text = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert "secrets" not in text
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["needs"] == "installs"
    assert jobs["installs"]["needs"] == ["source", "wheels"]
