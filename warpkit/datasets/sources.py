"""Data that others publish: whatever is missing or corrupt is named, with where to get it."""

import importlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from warpkit.errors import InputError, unknown


class Source(NamedTuple):
    """What a data set is called, and the page that it is published on."""

    name: str
    url: str

    def problem(self, what: str) -> InputError:
        """The error for a file that is not as it should be."""
        return InputError(f"{self.name}: {what}; get it from {self.url}")

    def require(self, ok: bool, what: str) -> None:
        """Raise `problem(what)` unless `ok`."""
        if not ok:
            raise self.problem(what)

    def check_split(self, split: str, known: Sequence[str]) -> None:
        """Raise `InputError` for a split that does not exist."""
        if split not in known:
            raise unknown(f"split of {self.name}", split, known)

    def check_complete(self, missing: Sequence[Path], count: int) -> None:
        """Raise `problem` where any of `count` images is missing."""
        if missing:
            raise self.problem(f"{len(missing)} of {count} images are missing, {missing[0]} first")

    def package(self, module: str) -> Any:
        """A module of an optional package; `InputError` says how to install it."""
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(f"{self.name}: this needs {error.name}: pip install 'warpkit[train]'") from error

    def folder(self, parent: str | os.PathLike[str], name: str, archive: str) -> Path:
        """The folder of this name, unpacked where only the archive is there: all of it, or nothing after an error."""
        path = Path(parent)
        self.require(path.is_dir(), f"{str(parent)!r} is no folder")
        found, packed = path / name, path / archive
        if found.is_dir():
            return found
        self.require(packed.is_file(), f"{path} has neither {name} nor {archive}")
        try:
            with (
                tempfile.TemporaryDirectory(prefix=f".{name}-", dir=path) as draft,
                tarfile.open(packed, "r:gz") as tar,
            ):
                tar.extractall(draft, filter="data")
                os.rename(Path(draft, name), found)
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            if not found.is_dir():  # else another process was faster
                raise self.problem(f"{packed} cannot be unpacked: {error}") from error
        return found

    def image(self, path: Path) -> Any:
        """A Pillow image in RGB, grey ones too."""
        pillow = self.package("PIL.Image")
        try:
            with pillow.open(path) as image:
                return image.convert("RGB")
        except Exception as error:  # Pillow's decoders raise what they please (SyntaxError, struct.error, …)
            raise self.problem(f"{path} is missing, cut off or no image: {error}") from error


def as_tensor(image: Any) -> UInt8[torch.Tensor, "3 H W"]:
    """The pixels of a Pillow image in RGB, as they are."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
