"""The site as a whole: every page can be reached, and what is made from pages is up to date."""

import re
import shutil
from pathlib import Path

import pytest
from docs_tools import ROOT, tool

DOCS = ROOT / "docs"
NUMBER = re.compile(r"(?<![\w.])\d+\.\d+(?:e-\d+)?(?![\w.]\d)")
LINK = re.compile(r"\]\((?P<page>[^)#]+\.md)")


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


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium: apt install chromium")
def test_the_picture_of_the_front_page_plays_until_it_is_dragged_and_stands_still_for_those_who_ask(tmp_path: Path):
    sync = pytest.importorskip("playwright.sync_api", reason="needs Playwright, which the extra dev brings")
    links = (
        f'<link rel="stylesheet" href="{DOCS}/css/home.css"><script src="{DOCS}/javascripts/home.js" defer></script>'
    )
    (tmp_path / "page.html").write_text(f'{links}<div class="md-typeset"><figure class="bend"></figure></div>')
    shown = "document.querySelector('.bend').style.getPropertyValue('--column')"
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        still, tab = (browser.new_page(reduced_motion=motion) for motion in ("reduce", "no-preference"))
        for opened in (still, tab):
            opened.goto((tmp_path / "page.html").as_uri())
        tab.wait_for_function(f"{shown} === '11'")
        assert still.evaluate(shown) == "14"
        box = tab.locator(".bend-panels").bounding_box()
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 9)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] / 7, box["y"] + 9)
        tab.mouse.up()
        tab.wait_for_timeout(300)  # long enough for three more frames
        assert tab.evaluate(shown) == "2"
        assert tab.locator(".bend input").input_value() == "2"
        browser.close()
