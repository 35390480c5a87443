"""The site as a whole: every page can be reached, and what is made from pages is up to date."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?:e-\d+)?(?![\w.]\d)")
LINK = re.compile(r"\]\((?P<page>[^)#]+\.md)")


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_stands_in_the_navigation_once():
    llms = tool("llms")
    listed = [page for section in llms.navigation() for page in llms.pages(section)]
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.glob("**/*.md"))


def test_the_list_of_pages_for_programs_is_up_to_date():
    llms = tool("llms")
    assert llms.PAGE.read_text(encoding="utf-8") == llms.text(), "run docs/tools/llms.py"


@pytest.mark.parametrize("name", tool("notebooks").TUTORIALS)
def test_a_notebook_is_what_its_page_says(name: str):
    path = DOCS / f"notebooks/{name}.ipynb"
    assert path.read_text(encoding="utf-8") == tool("notebooks").notebook(name), "run docs/tools/notebooks.py"


def test_each_number_of_the_front_page_stands_where_its_link_leads():
    numbers = (DOCS / "index.md").read_text(encoding="utf-8").split('<div class="numbers"')[1].split("</div>")[0]
    items = numbers.split("\n- ")[1:]
    assert len(items) == 3
    for item in items:
        measured = (DOCS / LINK.search(item)["page"]).read_text(encoding="utf-8")
        found = NUMBER.findall(item)
        assert found
        assert not [number for number in found if number not in NUMBER.findall(measured)], item


def test_the_front_page_has_all_that_it_shows():
    script = (DOCS / "javascripts/home.js").read_text(encoding="utf-8")
    style = (DOCS / "css/home.css").read_text(encoding="utf-8")
    steps, rows = re.search(r"STEPS = (\d+)", script)[1], len(re.findall(r'^  \["', script, re.MULTILINE))
    assert f"--rows: {rows}; --columns: {steps};" in style
    for picture in re.findall(r'url\("([^"]+)"\)', style):
        assert (DOCS / "css" / picture).is_file()
