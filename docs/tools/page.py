"""Takes the pictures of `warpkit play` in its tutorial, light and dark: docs/tools/page.py

Needs the extra dev, and Chromium. The photograph (Grace Hopper, U.S. Navy, public domain) comes with Matplotlib.
"""

import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

from warpkit.play.notebook import Page

PAGES = Path(__file__).resolve().parents[2] / "docs/img"
BENT = ((4, (14, 6)), (5, (24, -16)), (7, (-12, 10)), (10, (-22, 20)))  # handles, and by how many pixels
SIZE = {"width": 1280, "height": 800}


def bend(tab: Tab) -> None:
    """Drag some of the spline's control points."""
    for index, (across, down) in BENT:
        box = tab.locator(".handle").nth(index).bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        tab.mouse.move(x, y)
        tab.mouse.down()
        tab.mouse.move(x + across, y + down, steps=10)
        tab.mouse.up()
        tab.wait_for_timeout(500)
    tab.mouse.move(5, 5)
    tab.evaluate("document.activeElement.blur()")
    tab.wait_for_timeout(300)


def main() -> None:
    """Take a picture for each colour scheme."""
    served = Page()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            tab = browser.new_page(viewport=SIZE, color_scheme=scheme)
            tab.goto(served.url)
            tab.wait_for_selector("body[data-shown]")
            bend(tab)
            path = PAGES / f"play-{scheme}.png"
            tab.screenshot(path=path)
            with Image.open(path) as whole:  # 256 dithered colours are enough
                whole.convert("RGB").quantize(256).save(path, optimize=True)
            print(f"{path.name}: {path.stat().st_size // 1000} kB")
        browser.close()
    served.stop()


if __name__ == "__main__":
    main()
