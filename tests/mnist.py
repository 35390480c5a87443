"""Files in the format of MNIST, with digits of our own."""

import struct
from pathlib import Path

import numpy as np

TRAIN, TEST = 96, 40


def write_idx(folder: Path, half: str, count: int) -> None:
    """Digits one can tell apart: a bar at another place for each class, in some noise. MNIST's own format."""
    random = np.random.default_rng(count)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = random.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 7 + 2 * label, 8:20] = 255
    (folder / f"{half}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, count, 28, 28) + images.tobytes())
    (folder / f"{half}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, count) + labels.tobytes())
