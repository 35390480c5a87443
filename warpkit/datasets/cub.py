"""Birds of 200 species (CUB-200-2011), with a box around each and the places of its parts.

Source: C. Wah et al., "The Caltech-UCSD Birds-200-2011 dataset", CNS-TR-2011-001, 2011.
"""

import math
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt8
from torch import Generator, Tensor
from torch.utils.data import Dataset

from warpkit.datasets.archive import Limits
from warpkit.datasets.sources import Source, as_tensor
from warpkit.errors import quoted, require
from warpkit.quoting import Told

SPLITS = ("train", "test")
_SOURCE = Source("birds", "https://data.caltech.edu/records/65de6-vp158", Limits(files=100_000, bytes=4 * 2**30))
_LIST = 2**26  # bytes of a list; the longest has 5 million
_LARGEST = 1e6  # number in a list: of an image, or of pixels


class Bird(NamedTuple):
    """A crop: pixels (0 … 255), species, and the box and the parts as far as they lie in it, in its own pixels.

    The box is left, top, right and bottom edge (all equal where it is outside); a part that is not visible is at 0, 0.
    """

    image: UInt8[Tensor, "3 size size"]
    label: int
    box: Float32[Tensor, "4"]
    parts: Float32[Tensor, "K 2"]
    visible: Bool[Tensor, " K"]


class Birds(Dataset[Bird]):
    """Photographs of birds, read one by one when they are asked for: `birds[i]` is the middle, `birds.crop(i, place)`.

    `folder` is `CUB_200_2011` as published, or holds it, or `CUB_200_2011.tgz`, which is unpacked first, whole or not
    at all; `split` is the official one (5,994 and 5,794). A picture is resized until its shorter side has `short`
    pixels (`size` unless given), then cropped to `size` × `size`.

    Raises `InputError`, naming the file and where to get it, where one is missing (any image, too), corrupt or at odds
    with another; for an image that turns out to be corrupt, when it is read.
    """

    classes: list[str]
    """The names of the species, such as "001.Black_footed_Albatross", by label."""
    part_names: list[str]
    files: list[Path]
    labels: Int64[Tensor, " N"]
    """The species of each bird, from 0."""
    boxes: Float32[Tensor, "N 4"]
    """The box around each bird, in pixels of the picture: left, top, right and bottom edge."""
    parts: Float32[Tensor, "N K 2"]
    """The place x, y of each part, in pixels of the picture; zeros where a part is not visible."""
    visible: Bool[Tensor, "N K"]

    def __init__(
        self, folder: str | os.PathLike[str], split: str = "train", *, size: int = 224, short: int | None = None
    ) -> None:
        _SOURCE.check_split(split, SPLITS)
        self.size, self.short = size, size if short is None else short
        require(1 <= size <= self.short, f"birds: a crop of {size} pixels does not fit in a short side of {self.short}")
        root = Path(folder)
        if not any(os.path.exists(root / name) for name in ("images", "images.txt")):
            root = _SOURCE.folder(root, "CUB_200_2011", "CUB_200_2011.tgz")
        ids, names = _names(root / "images.txt", are_files=True)
        class_ids, self.classes = _names(root / "classes.txt")
        part_ids, self.part_names = _names(root / "parts" / "parts.txt")
        of_train = _numbers(root / "train_test_split.txt", 1, ids)[:, 0]
        classes = _numbers(root / "image_class_labels.txt", 1, ids)[:, 0]
        boxes = _numbers(root / "bounding_boxes.txt", 4, ids)
        parts = _numbers(root / "parts" / "part_locs.txt", 3, ids, part_ids).reshape(len(ids), len(part_ids), 3)
        _SOURCE.require(
            bool(np.isin(of_train, (0, 1)).all()), expected="0 or 1 for each image", path=root / "train_test_split.txt"
        )
        known = np.isin(classes, class_ids)
        _SOURCE.require(
            bool(known.all()),
            f"{root / 'image_class_labels.txt'}: a class {classes[~known][:1].tolist()} that classes.txt does not have",
        )
        chosen = np.flatnonzero(of_train == (split == "train"))
        self.files = [root / "images" / names[i] for i in chosen]
        _SOURCE.check_complete([file for file in self.files if not os.path.isfile(file)], len(self.files))
        order = np.argsort(class_ids)
        self.labels = torch.from_numpy(order[np.searchsorted(class_ids, classes[chosen], sorter=order)])
        boxes[:, 2:] += boxes[:, :2]
        self.boxes = torch.from_numpy(boxes[chosen].astype(np.float32))
        self.parts = torch.from_numpy(parts[chosen, :, :2].astype(np.float32))
        self.visible = torch.from_numpy(parts[chosen, :, 2] > 0)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Bird:
        return self.crop(index)

    def draw(self, count: int, generator: Generator) -> Float[Tensor, "N 2"]:
        """Random places of crops, for `crop`: [count, 2], uniform in 0 … 1."""
        return torch.rand(count, 2, generator=generator, device=generator.device)

    def crop(self, index: int, place: tuple[float, float] | Float[Tensor, "2"] = (0.5, 0.5)) -> Bird:
        """The crop at this place: x and y in 0 … 1 of the room there is, to whole pixels; the middle unless given."""
        where = torch.as_tensor(place)
        require(
            bool(((where >= 0) & (where <= 1)).all()), "place", expected="x and y in 0 … 1", given=place, path="birds"
        )
        picture = _SOURCE.image(self.files[index])
        sides = torch.tensor(picture.size)
        resized = (sides * self.short / sides.min()).round().int()
        bilinear = _SOURCE.package("PIL.Image").Resampling.BILINEAR
        room = resized - self.size
        corner = torch.minimum((where * (room + 1)).floor().int(), room)
        frame = (*corner.tolist(), *(corner + self.size).tolist())
        image = as_tensor(picture.resize(tuple(resized.tolist()), bilinear).crop(frame))
        moved = self.parts[index] * (resized / sides) - corner
        visible = self.visible[index] & ((moved >= 0) & (moved < self.size)).all(1)
        box = self.boxes[index].reshape(2, 2) * (resized / sides) - corner
        return Bird(
            image,
            int(self.labels[index]),
            box.clamp(0, self.size).flatten(),
            moved * visible[:, None],
            visible,
        )


def _names(file: Path, *, are_files: bool = False) -> tuple[Int64[np.ndarray, " N"], list[str]]:
    """The numbers and the names in the lines of a file."""
    ids: dict[int, str] = {}
    for count, line in enumerate(_text(file).splitlines(), 1):
        if line.strip():
            number, name = (*line.split(maxsplit=1), "")[:2]
            where, name = f"{file}, line {count}", name.strip()
            right = re.fullmatch("[0-9]{1,6}", number) is not None and name != ""
            _SOURCE.require(right, expected="a number of up to 6 digits and a name", given=line, path=where)
            _SOURCE.require(not are_files or _is_inside(name), f"{where}: {quoted(name)} is no file of this folder")
            _SOURCE.require(int(number) not in ids, f"{where}: the number {number} is there twice")
            ids[int(number)] = name
    _SOURCE.require(len(ids) > 0, f"{file} is empty")
    return np.array(list(ids), np.int64), list(ids.values())


def _is_inside(name: str) -> bool:
    """Whether the name leads to a file below the folder, and is one that a file can have."""
    parts = name.split("/")
    fits = len(name.encode()) < 1024 and all(len(part.encode()) < 256 for part in parts)
    return fits and name.isprintable() and not {"", ".", ".."}.intersection(parts)


def _numbers(file: Path, columns: int, *keys: Int64[np.ndarray, " _"]) -> Float64[np.ndarray, "N columns"]:
    """The numbers behind the keys in each line, in the keys' order; each combination of keys is there once."""
    lines = _text(file).splitlines()
    _SOURCE.require(any(map(str.strip, lines)), f"{file} is empty")
    try:
        rows = np.loadtxt(lines, np.float64, ndmin=2, comments=None)
    except ValueError as error:
        raise _SOURCE.problem(f"{file} is no table of numbers: {error}") from error
    count, width = math.prod(map(len, keys)), len(keys) + columns
    _SOURCE.require(
        rows.shape == (count, width),
        expected=f"{count} lines of {width} numbers",
        given=Told(" × ".join(map(str, rows.shape))),
        path=file,
    )
    wrong = np.flatnonzero(~(np.abs(rows) <= _LARGEST).all(1))  # NaN is not below anything
    _SOURCE.require(len(wrong) == 0, f"{file}: {rows[wrong[:1]].tolist()} is beyond ±{_LARGEST:,.0f}")
    wanted = np.stack(np.meshgrid(*keys, indexing="ij"), -1).reshape(-1, len(keys))
    of_rows, of_wanted = (np.lexsort(table[:, : len(keys)].T) for table in (rows, wanted))
    _SOURCE.require(
        bool((rows[of_rows, : len(keys)] == wanted[of_wanted]).all()),
        f"{file} is inconsistent: it is not about the images of images.txt, each once",
    )
    found = np.empty((len(wanted), columns))
    found[of_wanted] = rows[of_rows, len(keys) :]
    return found


def _text(file: Path) -> str:
    _SOURCE.require(os.path.isfile(file), f"{file} is missing")
    try:
        _SOURCE.require(file.stat().st_size <= _LIST, f"{file} is longer than any list of birds")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _SOURCE.problem(f"{file} cannot be read: {error}") from error
