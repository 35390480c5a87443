"""SVHN's whole numbers, in the format they are published in."""

from pathlib import Path

import h5py
import numpy as np
from PIL import Image

FIELDS = ("height", "label", "left", "top", "width")
Box = tuple[float, ...]  # in the order of FIELDS

# A digit, two of them (the 0 is written 10), five, six.
NUMBERS: dict[str, list[Box]] = {
    "1.png": [(20, 7, 10, 5, 12)],
    "2.png": [(20, 1, 10, 6, 8), (22, 10, 18, 4, 10)],
    "3.png": [(20, d, 8 * d, 5, 8) for d in range(1, 6)],
    "4.png": [(20, d, 8 * d - 8, 5, 8) for d in range(1, 7)],
}


def write_struct(file: Path, numbers: dict[str, list[Box]]) -> None:
    """digitStruct as MATLAB 7.3 saves it: 512 bytes of its own, then HDF5 in which what is many lies in #refs#."""
    with h5py.File(file, "w", userblock_size=512) as root:
        refs = root.create_group("#refs#")

        def keep(value: np.ndarray) -> h5py.Reference:
            return refs.create_dataset(f"v{len(refs)}", data=value).ref

        def many(group: h5py.Group, name: str, references: list[h5py.Reference]) -> None:
            column = np.array(references, h5py.ref_dtype).reshape(-1, 1)
            group.create_dataset(name, data=column, dtype=h5py.ref_dtype)

        names, boxes = [], []
        for name, digits in numbers.items():
            names.append(keep(np.array([[ord(c)] for c in name], np.uint16)))
            group = refs.create_group(f"v{len(refs)}")
            boxes.append(group.ref)
            for field, values in zip(FIELDS, zip(*digits, strict=True), strict=True):
                if len(values) == 1:
                    group.create_dataset(field, data=np.array([values], np.float64))
                else:
                    many(group, field, [keep(np.array([[v]], np.float64)) for v in values])
        struct = root.create_group("digitStruct")
        many(struct, "name", names)
        many(struct, "bbox", boxes)
    with file.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Dec  5 21:09:26 2011 HDF5 schema 1.00 .")


def picture(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


def write_svhn(folder: Path, split: str = "train") -> None:
    """A split of four pictures."""
    (folder / split).mkdir()
    write_struct(folder / split / "digitStruct.mat", NUMBERS)
    for i, name in enumerate(NUMBERS):
        picture(i).save(folder / split / name)
