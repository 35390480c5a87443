"""Draws the pictures of the pages in docs/how-to from what their own code computes: docs/tools/how_to.py [PAGE …]

A page's Python runs from top to bottom, and the picture shows its variables, side by side on a transparent ground. The
lens page needs the plugin warpkit-lens. The photograph (Grace Hopper, U.S. Navy, public domain) comes with Matplotlib.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from canvas import BLUE, ORANGE, ROOT, YELLOW
from PIL import Image, ImageColor, ImageDraw
from torch import Tensor

PAGES, PICTURES = ROOT / "docs/how-to", ROOT / "docs/img/how-to"
HEIGHT, GAP = 300, 14
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
Names = dict[str, Any]  # what a page's code has computed


def run(page: str) -> Names:
    """Run the code of a page in an empty folder."""
    names: Names = {"__name__": page}
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        exec(compile("\n".join(FENCE.findall(text)), page, "exec"), names)
        os.chdir(before)
    return names


def picture(image: Tensor) -> Image.Image:
    """An image [1, C, H, W] or [C, H, W], of bytes, of 0 … 255 or of 0 … 1."""
    image = image.reshape(image.shape[-3:]).float()
    bright = image * (255 if image.max() <= 1.5 else 1)
    return Image.fromarray(bright.clamp(0, 255).byte().expand(3, -1, -1).permute(1, 2, 0).numpy())


def shown(*names: str) -> Callable[[Names], list[Image.Image]]:
    return lambda found: [picture(found[name]) for name in names]


def marked(image: Tensor, points: Tensor, boxes: Tensor) -> Image.Image:
    drawn = picture(image)
    pen = ImageDraw.Draw(drawn)
    for box in boxes.reshape(-1, 4).tolist():
        pen.rectangle(box, outline=ORANGE, width=5)
    for x, y in points.reshape(-1, 2).tolist():
        pen.ellipse((x - 9, y - 9, x + 9, y + 9), fill=YELLOW, outline="black", width=2)
    return drawn


def crop(found: Names) -> list[Image.Image]:
    return [marked(found["image"], torch.empty(0), torch.tensor(found["box"])), picture(found["face"])]


def keypoints(found: Names) -> list[Image.Image]:
    before = marked(found["image"], found["keypoints"], found["boxes"])
    return [before, marked(found["turned"], found["moved"], found["around"])]


def labels(found: Names) -> list[Image.Image]:
    """The middle row, seen from the front: x to the right, z downwards, each voxel as high as it is thick."""
    pictures = []
    for scan, label, thick in (("scan", "labels", 3), ("turned", "copied", 1)):
        volume, drawn = found[scan][0, 0], found[label][0, 0]
        values, of = volume[:, volume.shape[1] // 2], drawn[:, drawn.shape[1] // 2]
        colours = torch.zeros(3, *of.shape)
        for name, colour in ((1, BLUE), (7, ORANGE)):
            colours += (of == name) * torch.tensor(ImageColor.getrgb(colour))[:, None, None]
        for panel in (picture(values[None].clamp(0, 1)), picture(colours)):
            pictures.append(panel.resize((3 * panel.width, 3 * thick * panel.height), Image.Resampling.NEAREST))
    return pictures


def smaller(found: Names) -> list[Image.Image]:
    return [
        panel.resize((384, 384), Image.Resampling.NEAREST) for panel in (picture(found[n]) for n in ("plain", "smooth"))
    ]


DRAWN: dict[str, Callable[[Names], list[Image.Image]]] = {
    "rotate": shown("image", "turned", "whole"),
    "opencv": shown("image", "seen"),
    "optical-flow": shown("first", "second", "again"),
    "panorama": shown("left", "right", "panorama"),
    "lens": shown("bent", "straight"),
    "crop": crop,
    "keypoints": keypoints,
    "labels": labels,
    "smaller": smaller,
}


def side_by_side(panels: list[Image.Image]) -> Image.Image:
    """Panels of one height, with a transparent gap between them."""
    alike = [
        p if p.height == HEIGHT else p.resize((round(p.width * HEIGHT / p.height), HEIGHT), Image.Resampling.LANCZOS)
        for p in panels
    ]
    whole = Image.new("RGBA", (sum(p.width for p in alike) + GAP * (len(alike) - 1), HEIGHT))
    left = 0
    for panel in alike:
        whole.paste(panel, (left, 0))
        left += panel.width + GAP
    return whole


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    for page in sys.argv[1:] or DRAWN:
        path = PICTURES / f"{page}.webp"
        side_by_side(DRAWN[page](run(page))).save(path, quality=82, method=6)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1000} kB")
