"""CUB-200-2011, in the format it is published in."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDES = {1: (40, 20), 2: (20, 40), 3: (24, 24), 4: (30, 20)}  # width, height; the third is grey
NAMES = {
    1: "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg",
    2: "001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg",
    3: "002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg",
    4: "002.Laysan_Albatross/Laysan_Albatross_0003_1033.jpg",
}
FILES = {
    "images.txt": "".join(f"{i} {name}\n" for i, name in NAMES.items()),
    "classes.txt": "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n",
    "image_class_labels.txt": "1 1\n2 1\n3 2\n4 2\n",
    "train_test_split.txt": "1 0\n2 1\n3 1\n4 1\n",
    "bounding_boxes.txt": "1 6.0 2.0 20.0 10.0\n2 2.0 12.0 16.0 16.0\n3 1.0 2.0 3.0 4.0\n4 0.0 0.0 4.0 5.0\n",
    "parts/parts.txt": "1 back\n2 beak\n3 left eye\n",
    "parts/part_locs.txt": "".join(f"{i} 1 0.0 0.0 0\n{i} 2 {i + 10}.0 12.0 1\n{i} 3 3.0 {i}.0 1\n" for i in NAMES),
}


def pixels(image: int) -> np.ndarray:
    """A ramp in x and in y, which JPEG keeps and a resize does not disturb."""
    width, height = SIDES[image]
    x, y = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    return np.stack([x, y, 0 * x + 128], 2).astype(np.uint8)


def write_cub(folder: Path) -> None:
    """Four birds of two species."""
    root = folder / "CUB_200_2011"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for i, name in NAMES.items():
        file = root / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels(i))
        (image.convert("L") if i == 3 else image).save(file, quality=100, subsampling=0)
