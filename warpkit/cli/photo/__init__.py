"""The way between photographs and tensors, with 8 or 16 bits a channel, by Pillow."""

from warpkit.cli.photo.formats import check_holds, holds
from warpkit.cli.photo.picture import Palette, Photo
from warpkit.cli.photo.pipe import PIPE, Source, print_frames, stdout_as
from warpkit.cli.photo.reader import read, read_bytes, read_frames
from warpkit.cli.photo.writer import check_suffix, write, write_frames

__all__ = [
    "PIPE",
    "Palette",
    "Photo",
    "Source",
    "check_holds",
    "check_suffix",
    "holds",
    "print_frames",
    "read",
    "read_bytes",
    "read_frames",
    "stdout_as",
    "write",
    "write_frames",
]
