import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_of_experiments_shows_the_results_that_are_kept():
    """`python docs/tools/experiments.py` brings it up to date."""
    spec = importlib.util.spec_from_file_location("experiments", ROOT / "docs/tools/experiments.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.PAGE.read_text(encoding="utf-8")
    assert tool.page(text) == text
