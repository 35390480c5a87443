"""The writing of photographs into a file."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from warpkit.cli.photo.picture import Photo
from warpkit.errors import InputError, require
from warpkit.files import written_whole

COMMON = (".png", ".jpg", ".tif", ".webp")  # suffixes to suggest
_PNG_COLOUR = {2: 4, 3: 2, 4: 6}  # channels → the colour type in a PNG's head
_QUALITY = {"JPEG": 95, "MPO": 95, "WEBP": 95}


def check_suffix(path: Path) -> None:
    """Raise `InputError` unless Pillow writes files that are called like this."""
    known = Image.registered_extensions()
    writable = sorted(end for end, kind in known.items() if kind in Image.SAVE)
    common = [end for end in COMMON if end in writable]
    given = repr(path.suffix) if path.suffix else "no suffix"
    require(
        path.suffix.lower() in writable,
        f"cannot write a picture with {given}",
        hint=f"try {', '.join(common)}",
        path=str(path),
    )


def write(photo: Photo, path: Path) -> None:
    """Write the photograph in the format that the suffix names. Raises `InputError` for one that cannot hold it."""
    write_frames([photo], path)


def write_frames(frames: Sequence[Photo], path: Path) -> None:
    """Write the photographs as the pages of one file. Raises `InputError` as `write` does."""
    data = encoded(frames, path)
    with written_whole(path) as draft:
        draft.write_bytes(data)


def encoded(frames: Sequence[Photo], path: Path) -> bytes:
    """The bytes of a file of this name. Raises `InputError` as `write` does."""
    check_suffix(path)
    try:
        return encode(frames, path.suffix)
    except Exception as error:  # Pillow's writers raise nearly anything
        raise InputError(f"{path} cannot be written: {error or type(error).__name__}") from error


def encode(frames: Sequence[Photo], suffix: str) -> bytes:
    """The bytes of such a file. Raises whatever Pillow raises where the format cannot hold the photographs."""
    first, suffix = frames[0], suffix.lower()
    if first.pixels.dtype == torch.uint16 and len(first.pixels) > 1:
        require(suffix == ".png" and len(frames) == 1, "colour with 16 bits a channel fits into .png only")
        return _deep_png(first.pixels.permute(1, 2, 0).contiguous().numpy(), first.profile)
    kind = Image.registered_extensions()[suffix]
    require(len(frames) == 1 or kind == "TIFF", "several pictures fit into .tif only")
    image, *others = map(_image, frames)
    how: dict[str, Any] = {"quality": _QUALITY[kind]} if kind in _QUALITY else {}
    if first.palette is not None:
        how["optimize"] = False  # GIF would give the colours other numbers
        if first.palette.transparency is not None:
            how["transparency"] = first.palette.transparency
    if others:
        how |= {"save_all": True, "append_images": others}
    if suffix == ".j2k":
        how["no_jp2"] = True  # the bare codestream
    file = BytesIO()
    image.save(file, kind, icc_profile=first.profile, **how)
    return file.getvalue()


def _image(photo: Photo) -> Image.Image:
    pixels = photo.pixels.permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if photo.palette is not None:
        colours = photo.palette.colours
        image.putpalette(colours.ljust(3 * (int(pixels.max()) + 1), b"\0"))
    return image


def _deep_png(pixels: NDArray[np.uint16], profile: bytes | None) -> bytes:
    """A PNG file with 16 bits a channel, which Pillow cannot write in colour. ISO/IEC 15948, clauses 5 and 11."""
    height, width, channels = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR[channels], 0, 0, 0)
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.zeros((height, 1 + rows.shape[1]), np.uint8)  # 0 at the start of a row: not filtered
    filtered[:, 1:] = rows
    chunks = [(b"IHDR", head)]
    if profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
