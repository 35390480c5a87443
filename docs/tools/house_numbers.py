"""House numbers drawn from handwritten digits, in SVHN's own format: docs/tools/house_numbers.py FOLDER

For trying the whole pipeline where SVHN itself is not at hand: one to five digits in a colour of their own, in a row
that is tilted and bent a little, on a wall with specks and with a part of a neighbour's number at either end. 4,000
pictures to train on, drawn from 4,000 digits, and 1,000 to test on, drawn from 1,000 others.
"""

import sys
from pathlib import Path

import numpy as np
from folder import into_folder
from PIL import Image, ImageFilter

from warpkit.datasets import digits

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from svhn_files import write_struct

COUNTS = {"train": 4000, "test": 1000}
LENGTHS = (0.1, 0.3, 0.3, 0.2, 0.1)  # how many numbers have one digit, two …
HEIGHT, STEP = 56, 22  # of a picture, and from a digit to the next, in pixels


def layers(each: list[np.ndarray], random: np.random.Generator) -> list[Image.Image]:
    """Each digit on a canvas of its own, in its place in the row; before the first and after the last, a neighbour."""
    width = STEP * (len(each) + 1) + 28
    tilt, bend, scale = random.uniform(-15, 15), random.uniform(-4, 4), random.uniform(0.75, 1.1)
    found = []
    for i, pixels in enumerate(each):
        side = round(28 * scale * random.uniform(0.95, 1.05))
        along = i - (len(each) - 1) / 2
        x = width / 2 + along * STEP * scale - side / 2
        y = HEIGHT / 2 + bend * (2 * along / max(len(each) - 1, 1)) ** 2 - side / 2 + random.uniform(-1, 1)
        canvas = Image.new("L", (width, HEIGHT))
        canvas.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC), (round(x), round(y)))
        found.append(canvas.rotate(tilt, Image.Resampling.BICUBIC))
    return found


def picture(masks: list[Image.Image], random: np.random.Generator) -> Image.Image:
    """The picture of the digits in paint, on a wall."""
    width, height = masks[0].size
    mask = np.max([np.asarray(m) for m in masks], 0)[..., None] / 255
    wall, paint = random.uniform(0, 255, (2, 3))
    while abs(wall.mean() - paint.mean()) < 60:
        wall, paint = random.uniform(0, 255, (2, 3))
    light = np.linspace(*random.uniform(0.7, 1.2, 2), width)[None, :, None]
    pixels = (wall + (paint - wall) * mask) * light + random.normal(0, random.uniform(2, 16), (height, width, 3))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(random.uniform(0, 0.8)))


def draw(folder: Path, images: np.ndarray, labels: np.ndarray, count: int, seed: int) -> None:
    """Draw `count` pictures, and make the `digitStruct.mat` that describes them."""
    folder.mkdir(parents=True)
    random, numbers = np.random.default_rng(seed), {}
    for i in range(1, count + 1):
        length = int(random.choice(5, p=LENGTHS)) + 1
        chosen = random.integers(0, len(labels), length + 2)  # the first and the last are the neighbours'
        masks = layers([images[k] for k in chosen], random)
        boxes = []
        for k, mask in zip(chosen[1:-1], masks[1:-1], strict=True):
            left, top, right, bottom = mask.point(lambda v: 255 * (v > 96)).getbbox()
            boxes.append((bottom - top, labels[k] or 10, left, top, right - left))
        numbers[f"{i}.png"] = boxes
        picture(masks, random).save(folder / f"{i}.png")
    write_struct(folder / "digitStruct.mat", numbers)


def write(folder: Path) -> None:
    """Write both halves, each from digits of its own."""
    for seed, ((split, count), half) in enumerate(zip(COUNTS.items(), digits(), strict=True)):
        pixels = (half.images[:, 0] * 255).byte().numpy()
        draw(folder / split, pixels, half.labels.numpy(), count, seed)


if __name__ == "__main__":
    into_folder(write, __doc__)
