"""Photographs that come from a pipe and leave by one: `-` on the command line."""

import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from warpkit.cli.photo.picture import Photo
from warpkit.cli.photo.reader import read_bytes, read_frames
from warpkit.cli.photo.writer import COMMON, encoded
from warpkit.errors import require

PIPE = Path("-")


class Source:
    """A file, or stdin, which is read here and whole: it cannot be read twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = sys.stdin.buffer.read() if path == PIPE else None

    def frames(self, *, indexed: bool = False) -> list[Photo]:
        """Its pages, as `read_frames` reads them."""
        if self.data is None:
            return read_frames(self.path, indexed=indexed)
        return read_bytes(self.data, "stdin", indexed=indexed)

    def suffix(self) -> str:
        """The suffix of files of its format, such as ".png"; it is Pillow that knows."""
        try:
            with Image.open(self.path if self.data is None else BytesIO(self.data)) as image:
                ends = [end for end, kind in Image.registered_extensions().items() if kind == image.format]
        except (OSError, Image.DecompressionBombError):  # which is told when it is read
            ends = []
        return next((end for end in (*COMMON, *ends) if end in ends), ".png")


def stdout_as(source: Source, form: str | None) -> Path:
    """What a file would be called that holds what goes to stdout: its suffix decides. `InputError` for a terminal."""
    require(not sys.stdout.isatty(), "OUT -: a terminal shows no photograph", hint="lead it on with | or >")
    return Path(f"stdout.{form.lower().removeprefix('.')}" if form else f"stdout{source.suffix()}")


def print_frames(frames: Sequence[Photo], path: Path) -> None:
    """Write to stdout what `write_frames` would write to a file of this name."""
    sys.stdout.buffer.write(encoded(frames, path))
    sys.stdout.buffer.flush()
