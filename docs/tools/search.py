"""Asks the built site's own search, in Chromium, and fails where another page than the right one comes first.

    zensical build --clean --strict -f .zensical.toml && python docs/tools/search.py

Zensical shows what holds every word that was typed, or words that begin with it. Of these it puts first what has the
words in its heading, and among headings those that have them more often, nearer to each other and nearer to the
beginning; then the path in the navigation decides in the same way, and then the text. So a page is found by its
headings.
"""

import functools
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SITE = Path(__file__).resolve().parents[2] / "site"
RIGHT = {
    "keypoints": "how-to/keypoints.html",
    "optical flow": "how-to/optical-flow.html",
    "rotate": "how-to/rotate.html",
    "OpenCV": "how-to/opencv.html",
    "ONNX": "how-to/export.html",
    "voxelmorph": "tutorials/fields.html",
    "panorama": "how-to/panorama.html",
    "lens": "how-to/lens.html",
    "crop": "how-to/crop.html",
    "spacing": "how-to/labels.html",
    "aliasing": "how-to/smaller.html",
    "grid_sample": "from/grid-sample.html",
    "bounding box": "how-to/keypoints.html",
    "bounding boxes": "how-to/keypoints.html",
    "segmentation mask": "how-to/keypoints.html",
    "downsample": "how-to/smaller.html",
    "downscale": "how-to/smaller.html",
    "thumbnail": "how-to/smaller.html",
    "deploy": "how-to/export.html",
    "rotate by degrees": "how-to/rotate.html",
    "rotate 30 degrees": "how-to/rotate.html",
    "volume": "how-to/labels.html",
    "flow": "how-to/optical-flow.html",
    "matrix": "how-to/opencv.html",
    "undistort": "how-to/lens.html",
    "augmentation": "tutorials/augment.html",
    "data augmentation": "tutorials/augment.html",
    "stn": "tutorials/network.html",
    "spatial transformer": "tutorials/network.html",
    "custom transform": "tutorials/transform.html",
    "custom kernel": "tutorials/kernel.html",
    "registration": "tutorials/registration.html",
    "gradient": "explanation/how-it-works.html",
    "NaN": "explanation/bad-input.html",
    "NIfTI": "tutorials/millimetres.html",
}
LINKS = """() => {
    const found = []
    const look = (root) => {
        for (const element of root.querySelectorAll("*")) {
            if (element.shadowRoot) look(element.shadowRoot)
            if (root !== document && element.tagName === "A") found.push(element.href)
        }
    }
    look(document)
    return found
}"""  # the dialog lives in a shadow root


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site without a line for each request."""

    def log_message(self, *_: object) -> None:
        pass


def first(tab: Page, words: str) -> str:
    """The page that comes first, without its anchor, or an empty string."""
    tab.click(".md-search__button")
    tab.wait_for_timeout(300)
    tab.keyboard.press("Control+A")
    tab.keyboard.type(words)
    tab.wait_for_timeout(800)
    links: list[str] = tab.evaluate(LINKS)
    tab.keyboard.press("Escape")
    return links[0].partition("#")[0] if links else ""


def main() -> int:
    """Ask every question; the number of wrong answers."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{served.server_port}/"
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(reduced_motion="reduce")
        tab.goto(home + "index.html")
        tab.wait_for_load_state("networkidle")
        for words, page in RIGHT.items():
            found = first(tab, words).removeprefix(home)
            print(f"{'right' if found == page else 'WRONG'}: {words} → {found or 'nothing'}")
            wrong += found != page
        browser.close()
    served.shutdown()
    return wrong


if __name__ == "__main__":
    sys.exit(min(1, main()))
