"""SVHN's `digitStruct.mat`: the name of each image, its digits and their boxes."""

import contextlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from warpkit.datasets import struct_reader
from warpkit.datasets.sources import Source
from warpkit.errors import InputError
from warpkit.files import written_whole

BLANK = 10  # the class of a place that has no digit
_VERSION = 2  # of the short form
_BYTES = 2**28  # of the short form, more than that of any split


class Index(NamedTuple):
    """The name of each image, its digits (`BLANK` after the last) and their boxes (left, top, right, bottom)."""

    names: np.ndarray
    labels: UInt8[np.ndarray, "N digits"]
    boxes: Float32[np.ndarray, "N digits 4"]


def digit_struct(source: Source, file: Path, least: int) -> Index:
    """The names, digits and boxes in this file, with room for `least` digits or more.

    It is taken from the short form beside it where that is of the same file and sound; else that is made anew, as far
    as the folder can be written. Raises `InputError` for a file that is missing, damaged or of something else.
    """
    source.require(os.path.isfile(file), f"{file} is missing")
    state, short = file.stat(), file.with_suffix(".npz")
    version = np.array([_VERSION, state.st_size, state.st_mtime_ns])
    with contextlib.suppress(Exception):  # missing, foreign or damaged
        kept = _arrays(short.read_bytes() if short.stat().st_size < _BYTES else b"")
        if np.array_equal(kept["version"], version):
            return _index(source, short, kept, least)
    said = _read(source, file)
    index = _index(source, file, said, least)
    with contextlib.suppress(InputError), written_whole(short) as draft:  # the folder may be read-only
        np.savez_compressed(draft, version=version, names=said["names"], counts=said["counts"], digits=said["digits"])
    return index


def _read(source: Source, file: Path) -> dict[str, np.ndarray]:
    """The arrays in the file, read by a process of its own."""
    source.package("h5py")
    program = [sys.executable, "-P", struct_reader.__file__, str(file)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each would take of the memory that is allowed
    done = subprocess.run(program, capture_output=True, env=environment, check=False)
    told = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    told = "".join(c if c.isprintable() else "�" for c in told[:200])
    told = told if done.returncode > 0 else f"HDF5's library was stopped by signal {-done.returncode}"
    source.require(done.returncode == 0, f"{file} cannot be read as digitStruct of MATLAB 7.3: {told}")
    return _arrays(done.stdout)


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; an error for pickles, and for more bytes than there can be."""
    with zipfile.ZipFile(io.BytesIO(content)) as entries:
        if sum(entry.file_size for entry in entries.infolist()) > _BYTES:
            raise ValueError("it is too large")
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        return dict(kept)


def _index(source: Source, file: Path, said: Mapping[str, np.ndarray], least: int) -> Index:
    """The digits in rows. Raises `InputError` for arrays that contradict each other."""
    names, counts, digits = (said[name] for name in ("names", "counts", "digits"))
    source.require(
        len(names) == len(counts) > 0,
        f"{file} is inconsistent: {len(names)} names of images, but digits of {len(counts)}",
    )
    right = (
        (names.dtype.kind, counts.dtype, digits.dtype) == ("U", np.dtype(np.int64), np.dtype(np.float32))
        and names.ndim == counts.ndim == 1
        and bool(((counts > 0) & (counts <= struct_reader.DIGITS)).all())
        and digits.shape == (5, counts.sum())
    )
    source.require(right, f"{file} is inconsistent: it has no digits for each image")
    left, top, width, height, label = digits
    sound = (np.abs(digits) < 1e6).all() and (width >= 0).all() and (height >= 0).all()  # NaN is not below anything
    source.require(bool(sound), f"{file} is inconsistent: the box of a digit is none")
    at = np.arange(max(least, counts.max())) < counts[:, None]
    labels, boxes = np.full(at.shape, BLANK, np.uint8), np.zeros((*at.shape, 4), np.float32)
    labels[at], boxes[at] = as_classes(source, file, label), np.stack([left, top, left + width, top + height], 1)
    return Index(names, labels, boxes)


def as_classes(source: Source, file: Path, labels: np.ndarray) -> Int64[np.ndarray, " N"]:
    """The classes 0 … 9 for labels 1 … 10: MATLAB counts from 1, and 10 is the digit 0."""
    wrong = labels[~np.isin(labels, np.arange(1, 11))]
    source.require(len(wrong) == 0, expected="labels 1 … 10", given=wrong[:1].tolist(), path=file)
    return labels.astype(np.int64) % 10
