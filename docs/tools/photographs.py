"""Three photographs in CUB-200-2011's own format: docs/tools/photographs.py FOLDER

For trying the networks for birds where CUB itself is not at hand. An image is a part of a photograph, brighter or
darker, half as wide as the canvas of noise that it stands on somewhere; training mirrors half of them. The photographs
are cut into four strips: 300 images to train on come from the first and the third, 90 to test on from the others, so
that no pixel is in both.
"""

from pathlib import Path

import numpy as np
from alignment import photographs
from folder import into_folder
from PIL import Image

NAMES = ("001.China", "002.Flower", "003.Portrait")
COUNTS = {True: 100, False: 30}  # of each class, to train and to test
CANVAS, SIDE = 128, 64  # pixels


def part(photo: np.ndarray, is_train: bool, random: np.random.Generator) -> Image.Image:
    """A square from the strip of the photograph that is meant for it, of some size, brighter or darker."""
    height, width = photo.shape[:2]
    strip = 2 * random.integers(2) + (not is_train)
    low, high = strip * width // 4, (strip + 1) * width // 4
    side = int(random.uniform(0.7, 1.0) * (high - low))
    left, top = random.integers(low, high - side + 1), random.integers(0, height - side + 1)
    square = photo[top : top + side, left : left + side] * random.uniform(0.7, 1.2)
    image = Image.fromarray(square.clip(0, 255).astype(np.uint8))
    return image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def write(folder: Path) -> None:
    """Write the images, and the tables that describe them and say what they are for."""
    random, root = np.random.default_rng(0), folder / "CUB_200_2011"
    images, labels, splits, boxes, places = [], [], [], [], []
    for label, (name, photo) in enumerate(zip(NAMES, photographs(), strict=True), 1):
        (root / "images" / name).mkdir(parents=True)
        pixels = (photo[0].permute(1, 2, 0) * 255).numpy()
        for is_train, count in COUNTS.items():
            for _ in range(count):
                number = len(images) + 1
                noise = random.uniform(0, 255, 3) + random.normal(0, 40, (CANVAS, CANVAS, 3))
                canvas = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                left, top = random.integers(0, CANVAS - SIDE + 1, 2)
                canvas.paste(part(pixels, is_train, random), (left, top))
                images.append(f"{number} {name}/{number:04}.jpg")
                canvas.save(root / "images" / name / f"{number:04}.jpg", quality=95)
                labels.append(f"{number} {label}")
                splits.append(f"{number} {int(is_train)}")
                boxes.append(f"{number} {left}.0 {top}.0 {SIDE}.0 {SIDE}.0")
                places.append(f"{number} 1 {left + SIDE / 2} {top + SIDE / 2} 1")
    (root / "parts").mkdir()
    for table, lines in (
        ("images", images), ("image_class_labels", labels), ("train_test_split", splits), ("bounding_boxes", boxes),
        ("parts/part_locs", places), ("parts/parts", ["1 middle"]),
        ("classes", [f"{i} {name}" for i, name in enumerate(NAMES, 1)]),
    ):  # fmt: skip
        (root / f"{table}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    into_folder(write, __doc__)
