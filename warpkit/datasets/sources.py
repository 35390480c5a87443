"""Data sets that others publish: a missing or corrupt file is named, with where to get it."""

import contextlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from warpkit.datasets.archive import Limits, unpack
from warpkit.distribution import to_install
from warpkit.errors import NOTHING, InputError, quoted, unknown

_PIXELS = 50_000_000  # of a picture: more than any of these data sets has


class Source(NamedTuple):
    """A data set's name, the page that it is published on, and the limits of its archives."""

    name: str
    url: str
    limits: Limits

    def problem(self, what: str = "", *, given: object = NOTHING, expected: str = "", path: object = "") -> InputError:
        """The error for a file, at `path`, that is missing or wrong; it names the page to get it from."""
        hint = f"get it from {self.url}"
        return InputError(what, given=given, expected=expected, hint=hint, path=str(path)).at(self.name)

    def require(
        self, ok: bool, what: str = "", *, given: object = NOTHING, expected: str = "", path: object = ""
    ) -> None:
        """Raise the error of `problem(what, ...)` unless `ok` holds."""
        if not ok:
            raise self.problem(what, given=given, expected=expected, path=path)

    def check_split(self, split: str, known: Sequence[str]) -> None:
        """Raise `InputError` for a split that does not exist."""
        if split not in known:
            raise unknown(f"split of {self.name}", split, known)

    def check_complete(self, missing: Sequence[Path], count: int) -> None:
        """Raise the error of `problem` where any of `count` images is missing."""
        if missing:
            raise self.problem(f"{len(missing)} of {count} images are missing, {missing[0]} first")

    def package(self, module: str) -> Any:
        """A module of an optional package; `InputError` says how to install it."""
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(f"{self.name}: this needs {error.name}", hint=to_install("train")) from error

    def folder(self, parent: str | os.PathLike[str], name: str, archive: str) -> Path:
        """The folder of this name, unpacked where only the archive is there: all of it, or nothing after an error.

        Of several processes one unpacks, and the others wait for it.
        """
        path = Path(parent)
        self.require(os.path.isdir(path), f"{quoted(str(parent), 300)} is no folder")
        found, packed = path / name, path / archive
        if os.path.isdir(found):
            return found
        self.require(os.path.isfile(packed), f"{path} has neither {name} nor {archive}")
        drafts = f".{name}-unpacking-"
        try:
            with packed.open("rb") as held:
                with contextlib.suppress(OSError, ImportError):  # some systems have no locks
                    import fcntl

                    fcntl.flock(held, fcntl.LOCK_EX)
                    for left in path.glob(f"{drafts}*"):  # by a process that was killed
                        shutil.rmtree(left, ignore_errors=True)
                if not os.path.isdir(found):
                    with tempfile.TemporaryDirectory(prefix=drafts, dir=path) as draft:
                        unpack(packed, Path(draft), self.limits)
                        os.rename(Path(draft, name), found)
        except Exception as error:  # of tarfile, gzip, the system
            raise self.problem(f"{packed} cannot be unpacked: {error}") from error
        return found

    def image(self, path: Path) -> Any:
        """The image in a JPEG or PNG file, as Pillow's, in RGB (a grey one too)."""
        pillow = self.package("PIL.Image")
        try:
            with pillow.open(path, formats=("JPEG", "PNG")) as image:
                width, height = image.size
                self.require(width * height <= _PIXELS, f"{path} has {width} × {height} pixels")
                return image.convert("RGB")
        except InputError:
            raise
        except Exception as error:  # Pillow's decoders raise what they please (SyntaxError, struct.error, …)
            raise self.problem(f"{path} is missing, cut off or no image: {error}") from error


def as_tensor(image: Any) -> UInt8[torch.Tensor, "3 H W"]:
    """The pixels [3, H, W] of a Pillow image in RGB."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
