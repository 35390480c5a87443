"""House numbers from Street View (SVHN): whole numbers of up to five digits, and single digits cut out of them.

Source: Y. Netzer et al., "Reading digits in natural images with unsupervised feature learning", NIPS workshop, 2011.
"""

import math
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from warpkit.datasets.archive import Limits
from warpkit.datasets.digit_struct import BLANK, as_classes, digit_struct
from warpkit.datasets.matlab import read_matrices
from warpkit.datasets.sources import Source, as_tensor
from warpkit.errors import require
from warpkit.quoting import Told, listed

MOST = 5  # places of a number that is read
SPLITS = ("train", "test", "extra")
_SOURCE = Source("house numbers", "http://ufldl.stanford.edu/housenumbers", Limits(files=300_000, bytes=4 * 2**30))
_CROPPED = 531_131  # digits, of which "extra" has most


class HouseDigits(NamedTuple):
    """Single digits with their neighbours in view: pixels as they are kept (0 … 255), and classes (0 … 9)."""

    images: UInt8[Tensor, "N 3 32 32"]
    labels: Int64[Tensor, " N"]


def house_digits(folder: str | os.PathLike[str], split: str = "train") -> HouseDigits:
    """The cropped digits of a split, from `train_32x32.mat` (73,257), `test_…` (26,032) or `extra_…` (531,131).

    Raises `InputError` for a file that is missing, cut off or holds something else, naming it and where to get it.
    """
    _SOURCE.check_split(split, SPLITS)
    file = Path(folder) / f"{split}_32x32.mat"
    _SOURCE.require(os.path.isfile(file), f"{file} is missing")
    try:
        with file.open("rb") as content:
            found = read_matrices(content, ("X", "y"), _CROPPED * 32 * 32 * 3)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise _SOURCE.problem(f"{file} cannot be read as MATLAB's: {error}") from error
    _SOURCE.require(
        len(found) == 2,
        f"{file} cannot be read as MATLAB's",
        expected="X and y",
        given=Told(listed(found) or "neither"),
    )
    pixels, labels = found["X"], found["y"].ravel()
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels  # MATLAB drops the last axis of a single image
    _SOURCE.require(
        pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.shape[:3] == (32, 32, 3),
        expected="X as 32 × 32 × 3 × N bytes",
        given=Told(f"{' × '.join(map(str, pixels.shape))} of {pixels.dtype}"),
        path=file,
    )
    _SOURCE.require(
        len(labels) == pixels.shape[3], f"{file} is inconsistent: {pixels.shape[3]} images, but {len(labels)} labels"
    )
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return HouseDigits(torch.from_numpy(images), torch.from_numpy(as_classes(_SOURCE, file, labels)))


class HouseNumber(NamedTuple):
    """A house number: pixels (0 … 255), digits from the left with `BLANK` = 10 after the last, and their number."""

    image: UInt8[Tensor, "3 size size"]
    label: Int64[Tensor, "5"]
    length: int


class HouseNumbers(Dataset[HouseNumber]):
    """Whole house numbers, read one by one when they are asked for: `numbers[i]`, `numbers.images(indices)`.

    `folder` holds `train`, `test` or `extra` as published (33,402, 13,068 and 202,353 images with `digitStruct.mat`),
    or its `.tar.gz`, which is unpacked first, whole or not at all. What `digitStruct.mat` says is kept beside it as
    `digitStruct.npz`, since MATLAB's way of writing it takes minutes to follow; where nothing can be written, it is
    read anew each time.

    An image is the box around all digits, larger by the share `margin` in width and height, as far as the picture goes,
    then resized to `size` × `size` pixels. A number of more than five digits (one, in `train`) is left out and named in
    `left_out`.

    Raises `InputError`, naming the file and where to get it, where one is missing (any image, too) or corrupt; for an
    image that turns out to be corrupt, when it is read.

    Source: I. Goodfellow et al., "Multi-digit number recognition from Street View imagery", ICLR 2014, section 5.1.
    """

    names: list[str]
    """The files, such as "1.png"."""
    labels: Int64[Tensor, "N 5"]
    """The digits, and `BLANK` = 10 after the last: five heads of eleven classes."""
    lengths: Int64[Tensor, " N"]
    """The number of digits of each image."""
    boxes: Float32[Tensor, "N 5 4"]
    """The box of each digit, in pixels of the picture: left, top, right and bottom edge; zeros after the last."""
    left_out: list[str]
    """The files of numbers of more than five digits."""

    def __init__(
        self, folder: str | os.PathLike[str], split: str = "train", *, size: int = 64, margin: float = 0.3
    ) -> None:
        _SOURCE.check_split(split, SPLITS)
        require(size >= 1, "size", expected="1 or more pixels", given=size, path="house numbers")
        require(0 <= margin < math.inf, "margin", expected="a share of 0 or more", given=margin, path="house numbers")
        self.folder, self.size, self.margin = _SOURCE.folder(folder, split, f"{split}.tar.gz"), size, margin
        names, labels, boxes = digit_struct(_SOURCE, self.folder / "digitStruct.mat", MOST)
        there = set(os.listdir(self.folder))
        _SOURCE.check_complete([self.folder / name for name in names if name not in there], len(names))
        fits = (labels[:, MOST:] == BLANK).all(1)
        self.names = names[fits].tolist()
        self.left_out = names[~fits].tolist()
        self.labels = torch.from_numpy(labels[fits, :MOST].astype(np.int64))
        self.lengths = (self.labels != BLANK).sum(1)
        self.boxes = torch.from_numpy(boxes[fits, :MOST])

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> HouseNumber:
        length = int(self.lengths[index])
        return HouseNumber(self._image(index), self.labels[index], length)

    def images(self, indices: Iterable[int] | Int64[Tensor, " M"]) -> UInt8[Tensor, "M 3 size size"]:
        """The images at these indices."""
        images = [self._image(int(index)) for index in indices]
        return torch.stack(images) if images else torch.empty(0, 3, self.size, self.size, dtype=torch.uint8)

    def _image(self, index: int) -> UInt8[Tensor, "3 size size"]:
        path = self.folder / self.names[index]
        picture = _SOURCE.image(path)
        digits = self.boxes[index, : int(self.lengths[index])].double()
        low, high = digits[:, :2].amin(0), digits[:, 2:].amax(0)
        more = (high - low) * self.margin / 2
        sides = torch.tensor(picture.size, dtype=torch.float64)
        low, high = (low - more).clamp(min=0), torch.minimum(high + more, sides)
        _SOURCE.require(
            bool((low < high).all()), f"{path}: its digits lie outside of its {picture.width} × {picture.height} pixels"
        )
        bilinear = _SOURCE.package("PIL.Image").Resampling.BILINEAR
        return as_tensor(picture.resize((self.size, self.size), bilinear, box=(*low.tolist(), *high.tolist())))
