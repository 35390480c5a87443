"""Gives pictures with a white ground a transparent one, so that they look right on light and dark pages.

    docs/tools/ground.py PICTURE.png …     → PICTURE.webp

What is black on the white ground, text and lines, becomes a grey that reads on white and on black. Panels, that is
photographs and digits, stay as they are. docs/tools/figures.py draws its pictures without a ground to begin with.
"""

import sys
from pathlib import Path

import numpy as np
from canvas import INK
from PIL import Image
from PIL.ImageColor import getrgb
from scipy import ndimage

PANEL = 24  # pixels: what is smaller is text
COLOURS, FAINT = 192, 64  # of a palette: opaque ones, translucent ones


def without_ground(rgb: np.ndarray) -> np.ndarray:
    """The picture `[H, W, 3]` as `[H, W, 4]`."""
    panels = np.zeros(rgb.shape[:2], bool)
    for box in ndimage.find_objects(ndimage.label((rgb < 250).any(-1))[0]):
        if min(side.stop - side.start for side in box) >= PANEL:
            panels[box] = True
    cover = 255 - rgb.min(-1)
    ink = np.broadcast_to(np.array(getrgb(INK), np.uint8), rgb.shape)
    return np.dstack([np.where(panels[..., None], rgb, ink), np.where(panels, 255, cover)]).astype(np.uint8)


def write(rgba: np.ndarray, path: Path) -> None:
    """Write a WebP, or a PNG of 256 dithered colours, which is enough for these pictures, whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    if path.suffix == ".webp":
        Image.fromarray(rgba).save(unfinished, "WEBP", quality=70, method=4)
    else:
        picture, alphas = few_colours(rgba)
        picture.save(unfinished, "PNG", optimize=True, transparency=bytes(alphas))
    unfinished.replace(path)


def few_colours(rgba: np.ndarray) -> tuple[Image.Image, list[int]]:
    """The picture with a palette, and the palette's alphas."""
    translucent = rgba[..., 3] < 255
    full = Image.fromarray(rgba[..., :3])
    palette = full.quantize(COLOURS)
    indices = np.array(full.quantize(palette=palette))
    colours = (palette.getpalette() or [])[: 3 * COLOURS]
    colours += [0] * (3 * COLOURS - len(colours))
    alphas = [255] * COLOURS
    if translucent.any():
        faint = Image.fromarray(rgba[translucent][None], "RGBA").quantize(FAINT, Image.Quantize.FASTOCTREE)
        shades = np.array(faint.getpalette("RGBA"), np.uint8).reshape(-1, 4)
        indices[translucent] = COLOURS + np.array(faint)[0]
        colours += shades[:, :3].flatten().tolist()
        alphas += shades[:, 3].tolist()
    picture = Image.fromarray(indices.astype(np.uint8), "P")
    picture.putpalette(colours)
    return picture, alphas


def clear(path: Path) -> None:
    """Put a WebP without a ground in the place of a PNG with a white one."""
    with Image.open(path) as opened:
        rgb = np.array(opened.convert("RGB"))
    write(without_ground(rgb), path.with_suffix(".webp"))
    path.unlink()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        clear(Path(name))
