"""Draws the pictures of docs/gallery.md, each by the lines that stand below it there: docs/tools/gallery.py [FOLDER]

A picture `img/gallery/NAME.webp` shows the variable `out`, as the next python block leaves it. Pictures of plugins that
are not installed stay as they are.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

DOCS = Path(__file__).resolve().parents[1]
PAGE, PICTURES = DOCS / "gallery.md", DOCS / "img/gallery"
NEXT = re.compile(
    r"\(img/gallery/(?P<name>\w+)\.webp\)|(?:^<!-- needs: (?P<needs>\S+) -->\n)?^```python\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def drawn() -> Iterator[tuple[str, Image.Image]]:
    """The name of each picture, and what its lines make."""
    page: dict[str, Any] = {}
    name = None
    for found in NEXT.finditer(PAGE.read_text(encoding="utf-8")):
        if found["name"]:
            name = found["name"]
        elif installed(found["needs"]):
            exec(compile(found["code"], PAGE.name, "exec"), page)
            assert name, f"{PAGE.name}: no picture above\n{found['code']}"
            yield name, as_picture(page["out"])
            name = None


def installed(package: str | None) -> bool:
    try:
        return package is None or importlib.metadata.distribution(package) is not None
    except importlib.metadata.PackageNotFoundError:
        return False


def as_picture(image: Tensor) -> Image.Image:
    values = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(np.asarray(values))


if __name__ == "__main__":
    folder = Path(*sys.argv[1:]) if sys.argv[1:] else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn():
        path = folder / f"{name}.webp"
        picture.save(path, quality=85, method=6)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")
