"""House numbers out of Street View (SVHN): whole numbers of up to five digits, and single digits cut out of them.

Source: Y. Netzer et al., "Reading digits in natural images with unsupervised feature learning", NIPS workshop, 2011.
"""

import contextlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from warpkit.datasets.sources import Source, as_tensor
from warpkit.errors import InputError, require
from warpkit.files import written_whole

BLANK, MOST = 10, 5  # the class of a place that has no digit; places
SPLITS = ("train", "test", "extra")
_SOURCE = Source("house numbers", "http://ufldl.stanford.edu/housenumbers")
_FIELDS = ("left", "top", "width", "height", "label")


class HouseDigits(NamedTuple):
    """Digits, their neighbours to the left and right in view, as they are kept (0 … 255), and which each is (0 … 9)."""

    images: UInt8[Tensor, "N 3 32 32"]
    labels: Int64[Tensor, " N"]


def house_digits(folder: str | os.PathLike[str], split: str = "train") -> HouseDigits:
    """The cropped digits of `train_32x32.mat`, `test_32x32.mat` or `extra_32x32.mat` (73,257, 26,032 and 531,131).

    Raises `InputError` for a file that is missing, cut off or holds something else, naming it and where to get it.
    """
    _SOURCE.check_split(split, SPLITS)
    file = Path(folder) / f"{split}_32x32.mat"
    _SOURCE.require(file.is_file(), f"{file} is missing")
    loadmat = _SOURCE.package("scipy.io").loadmat
    try:
        content = loadmat(file, variable_names=["X", "y"])
        pixels, labels = content["X"], content["y"].ravel()
    except Exception as error:  # SciPy raises what it stumbles over
        raise _SOURCE.problem(f"{file} cannot be read as MATLAB's: {error!r}") from error
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels  # MATLAB drops the last axis of a single image
    _SOURCE.require(
        pixels.dtype == np.uint8 and pixels.ndim == 4 and pixels.shape[:3] == (32, 32, 3),
        f"{file}: expected X as 32 × 32 × 3 × N bytes, got {' × '.join(map(str, pixels.shape))} of {pixels.dtype}",
    )
    _SOURCE.require(
        len(labels) == pixels.shape[3], f"{file} is inconsistent: {pixels.shape[3]} images, but {len(labels)} labels"
    )
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return HouseDigits(torch.from_numpy(images), torch.from_numpy(_classes(file, labels)))


class HouseNumber(NamedTuple):
    """A house number: its pixels (0 … 255), its digits from the left, `BLANK` = 10 after the last, and how many."""

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
    """How many digits each has."""
    boxes: Float32[Tensor, "N 5 4"]
    """Of each digit, in pixels of the picture: left, top, right and bottom edge; zeros after the last."""
    left_out: list[str]
    """The files of numbers of more than five digits."""

    def __init__(
        self, folder: str | os.PathLike[str], split: str = "train", *, size: int = 64, margin: float = 0.3
    ) -> None:
        _SOURCE.check_split(split, SPLITS)
        require(size >= 1, f"house numbers: size: expected 1 or more pixels, got {size}")
        require(0 <= margin < math.inf, f"house numbers: margin: expected a share of 0 or more, got {margin}")
        self.folder, self.size, self.margin = _SOURCE.folder(folder, split, f"{split}.tar.gz"), size, margin
        names, labels, boxes = _index(self.folder / "digitStruct.mat")
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


class _Index(NamedTuple):
    """Of each image its name, its digits (`BLANK` after the last) and their boxes (left, top, right, bottom)."""

    names: np.ndarray
    labels: UInt8[np.ndarray, "N digits"]
    boxes: Float32[np.ndarray, "N digits 4"]


def _index(file: Path) -> _Index:
    """What `digitStruct.mat` says, from the short form beside it where that is of the same file."""
    _SOURCE.require(file.is_file(), f"{file} is missing")
    state, short = file.stat(), file.with_suffix(".npz")
    version = np.array([1, state.st_size, state.st_mtime_ns])
    with contextlib.suppress(Exception), np.load(short) as kept:  # missing, foreign or damaged: written anew
        if (kept["version"] == version).all():
            return _Index(kept["names"], kept["labels"], kept["boxes"])
    index = _read(file)
    with contextlib.suppress(InputError), written_whole(short) as draft:  # the folder may be read-only
        np.savez_compressed(draft, version=version, **index._asdict())
    return index


def _read(file: Path) -> _Index:
    """MATLAB 7.3 is HDF5: a struct array is a group of fields, and a field of several elements one of references."""
    h5py = _SOURCE.package("h5py")
    try:
        with h5py.File(file, "r") as root:

            def elements(node: Any) -> list[Any]:
                many = h5py.check_ref_dtype(node.dtype) if isinstance(node, h5py.Dataset) else None
                return [root[reference] for reference in node[()].ravel()] if many else [node]

            def numbers(box: Any) -> np.ndarray:
                fields = [[element[()].item() for element in elements(box[field])] for field in _FIELDS]
                return np.array(fields, np.float32)  # [5, digits]; an error where they are not equally many

            names = ["".join(map(chr, name[()].ravel())) for name in elements(root["digitStruct/name"])]
            digits = [numbers(box) for box in elements(root["digitStruct/bbox"])]
    except Exception as error:  # h5py raises what HDF5 stumbles over
        raise _SOURCE.problem(f"{file} cannot be read as digitStruct of MATLAB 7.3: {error}") from error
    _SOURCE.require(
        len(names) == len(digits) > 0,
        f"{file} is inconsistent: {len(names)} names of images, but digits of {len(digits)}",
    )
    counts = np.array([number.shape[1] for number in digits], np.int64)
    left, top, width, height, label = np.concatenate(digits, 1)
    sound = np.isfinite([left, top, width, height]).all() and (width >= 0).all() and (height >= 0).all()
    _SOURCE.require(bool(sound), f"{file} is inconsistent: the box of a digit is none")
    at = np.arange(max(MOST, counts.max())) < counts[:, None]
    labels, boxes = np.full(at.shape, BLANK, np.uint8), np.zeros((*at.shape, 4), np.float32)
    labels[at], boxes[at] = _classes(file, label), np.stack([left, top, left + width, top + height], 1)
    return _Index(np.array(names), labels, boxes)


def _classes(file: Path, labels: np.ndarray) -> Int64[np.ndarray, " N"]:
    """0 … 9 of 1 … 10: MATLAB counts from 1, and 10 is the digit 0."""
    wrong = labels[~np.isin(labels, np.arange(1, 11))]
    _SOURCE.require(len(wrong) == 0, f"{file}: expected labels 1 … 10, got {wrong[:1].tolist()}")
    return labels.astype(np.int64) % 10
