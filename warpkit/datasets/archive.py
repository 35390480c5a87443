"""The unpacking of an archive that others publish, within the limits of what it should hold."""

import gzip
import os
import shutil
import tarfile
from pathlib import Path
from typing import NamedTuple

_HEADER = 2**20  # bytes that describe a file; extensions of a header are read whole, however long they say they are


class Limits(NamedTuple):
    """The most files and folders that a data set has, and the most bytes in all of them."""

    files: int
    bytes: int


def unpack(packed: Path, folder: Path, limits: Limits) -> None:
    """Unpack a gzipped tar archive into an empty folder.

    Nothing is written outside of it, only files and folders are made, and no more is read than they need. Raises
    whatever tarfile, gzip and the system stumble over, and `tarfile.ReadError` where a limit is passed.
    """
    total = 0
    with _Stream(packed) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for count, member in enumerate(tar, 1):
            total += member.size
            _require(
                member.isdir() or (member.isreg() and not member.issparse()), "it holds more than files and folders"
            )
            _require(count <= limits.files, f"it holds more than {limits.files:,} files")
            _require(total <= limits.bytes, f"it holds more than {limits.bytes:,} bytes")
            free = shutil.disk_usage(folder).free
            _require(member.size <= free, f"{member.size:,} bytes are needed for the next file, {free:,} are free")
            stream.left = member.size + _HEADER
            tar.extract(member, folder, filter="data")
            stream.left = _HEADER


class _Stream(gzip.GzipFile):
    """A gzip stream that inflates no more than `left` bytes."""

    left = _HEADER

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "rb")

    def read(self, size: int | None = -1) -> bytes:
        _require(size is not None and 0 <= size <= self.left, "a header is longer than that of any file")
        self.left -= size or 0
        return super().read(size)


def _require(ok: bool, what: str) -> None:
    if not ok:
        raise tarfile.ReadError(what)
