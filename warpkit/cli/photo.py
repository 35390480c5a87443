"""Photographs ↔ tensors, 8 and 16 bits a channel, with Pillow."""

import struct
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from warpkit.errors import InputError, require
from warpkit.files import written_whole

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # channels → Pillow's word, for 8 bits
_PNG_COLOUR = {2: 4, 3: 2, 4: 6}  # channels → the colour type in a PNG's head


@dataclass(frozen=True)
class Photo:
    """`pixels` [C, H, W], uint8, uint16 or float32, with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.

    Colours are not premultiplied by alpha. `profile` is the ICC profile that the colours are meant in.
    """

    pixels: Tensor
    profile: bytes | None = None

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is opacity."""
        return self.pixels.shape[0] in (2, 4)


def read(path: Path) -> Photo:
    """The photograph in this file, upright: the turn its EXIF data asks for is made.

    Palettes become RGB (with alpha where they have it), 1-bit images 8-bit grey, CMYK and other colour spaces RGB.
    Raises `InputError` for what is no picture, for 32-bit integers, and for 16 bits in other colours than grey and RGB.
    """
    try:
        with Image.open(path) as image:
            raw = _raw_mode(image)
            if raw in ("RGB;16", "RGBA;16"):
                return _read_deep_colour(path)
            upright = ImageOps.exif_transpose(_plain(image, path))
            pixels = np.array(upright)
    except UnidentifiedImageError:
        raise InputError(f"{path} is no picture that Pillow can read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    require(
        ";16" not in raw or pixels.dtype != np.uint8,
        f"{path}: 16 bits a channel are read from grey, RGB and RGBA only, not from {raw}",
    )
    same_colours = _MODES.get(len(upright.getbands())) == image.mode or image.mode.startswith("I;16")
    return Photo(_channels_first(pixels), image.info.get("icc_profile") if same_colours else None)


def _raw_mode(image: Any) -> str:
    """How the file holds its pixels, less the byte order: Pillow shows 16-bit colour as 8-bit and only says it here."""
    tile = image.tile[0].args if image.tile else ""
    return str(tile[0] if isinstance(tile, tuple) and tile else tile).rstrip("BLN")


def _plain(image: Image.Image, path: Path) -> Image.Image:
    """In one of the modes that `Photo` has."""
    mode = image.mode
    if image.has_transparency_data and mode in ("L", "RGB"):  # one colour that is meant to be transparent
        return image.convert("LA" if mode == "L" else "RGBA")
    if mode.startswith("I;16") or mode in ("L", "LA", "RGB", "RGBA", "F"):
        return image
    require(mode != "I", f"{path}: images of 32-bit integers are not supported; save it with 16 bits")
    if mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _read_deep_colour(path: Path) -> Photo:
    """RGB or RGBA with 16 bits a channel.

    Pillow has no such mode and keeps the high byte of each value. Told that the bytes lie the other way round it keeps
    the other one, so the file is read twice.
    """
    halves = []
    for swapped in (False, True):
        with Image.open(path) as image:
            profile = image.info.get("icc_profile")
            if swapped:
                image.tile = [tile._replace(args=_other_order(tile.args)) for tile in image.tile]
            halves.append(np.array(ImageOps.exif_transpose(image)).astype(np.uint16))
    return Photo(_channels_first(halves[0] << 8 | halves[1]), profile)


def _other_order(args: Any) -> Any:
    if isinstance(args, tuple):
        return (_other_order(str(args[0])), *args[1:])
    native = "L" if sys.byteorder == "little" else "B"
    order = native if args.endswith("N") else args[-1]
    return args[:-1] + ("B" if order == "L" else "L")


def _channels_first(pixels: NDArray[Any]) -> Tensor:
    native = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("=")))
    planes = native[None] if native.ndim == 2 else native.transpose(2, 0, 1)
    return torch.from_numpy(planes.copy())


def check_suffix(path: Path) -> None:
    """Raise `InputError` unless Pillow writes files that are called like this."""
    known = Image.registered_extensions()
    writable = sorted(end for end, kind in known.items() if kind in Image.SAVE)
    common = [end for end in (".png", ".jpg", ".tif", ".webp") if end in writable]
    given = repr(path.suffix) if path.suffix else "no suffix"
    require(path.suffix.lower() in writable, f"{path}: cannot write a picture with {given}; try {', '.join(common)}")


def write(photo: Photo, path: Path) -> None:
    """Write it in the format that the suffix names. Raises `InputError` for a format that cannot hold it."""
    check_suffix(path)
    channels, depth = photo.pixels.shape[0], photo.pixels.dtype
    pixels = photo.pixels.permute(1, 2, 0).contiguous().numpy()
    if channels == 1:
        pixels = pixels[:, :, 0]
    if depth == torch.uint16 and channels > 1:
        require(path.suffix.lower() == ".png", f"{path}: colour with 16 bits a channel can be written as .png only")
        with written_whole(path) as draft:
            draft.write_bytes(_deep_png(pixels, photo.profile))
        return
    quality: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    image = Image.fromarray(pixels)
    with written_whole(path) as draft:  # which reports an OSError: a format that cannot hold this kind of image
        try:
            image.save(draft, icc_profile=photo.profile, **quality)
        except (ValueError, KeyError) as error:
            raise InputError(f"{path} cannot be written: {error}") from error


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
