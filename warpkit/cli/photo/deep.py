"""Pixels that Pillow cuts to 8 bits, or takes for others, read as they stand in the file."""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from warpkit.cli.photo import planes
from warpkit.errors import require

_FULL = 65535
_NATIVE = "L" if sys.byteorder == "little" else "B"
_HALVED = ("RGB;16", "RGBA;16", "RGBa;16")
_PHOTOMETRIC, _SAMPLE_FORMAT = 262, 339  # TIFF's tags
_JP2_HEAD = b"\xff\x4f\xff\x51"  # JPEG 2000: start of the codestream, and of its size segment


def raw_mode(image: Any) -> str:
    """The mode of the pixels in the file, without byte order: only here does Pillow tell of 16-bit colour."""
    tile = image.tile[0].args if image.tile else ""
    return str(tile[0] if isinstance(tile, tuple) and tile else tile).rstrip("BLN")


def pixels(image: Any) -> NDArray[Any] | None:
    """The pixels [H, W] or [H, W, C]; None where Pillow itself reads them right. `InputError` for a damaged file."""
    raw, tags = raw_mode(image), getattr(image, "tag_v2", {})
    signed = 2 in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1)) and image.mode in ("L", "I")
    require(not signed, "whole numbers with a sign are not supported", hint="save them without")
    deep: NDArray[Any] | None
    if planes.are_apart(image):
        deep = planes.read(image)
    elif raw in _HALVED:
        deep = _halves(image)
    elif raw == "LA;16":
        image.tile = [tile._replace(args="RGBA") for tile in image.tile]  # its four bytes are two numbers
        deep = np.array(image).view(">u2").astype(np.uint16)
    elif image.format == "PPM" and image.mode in ("I", "RGB"):
        deep = _portable(image, raw)
    elif image.mode.startswith("I;16") and (tags.get(_PHOTOMETRIC) == 0 or "transparency" in image.info):
        deep = _FULL - np.array(image) if tags.get(_PHOTOMETRIC) == 0 else np.array(image)
    elif raw == "F;32BF" and image.tile[0].codec_name == "libtiff":  # which has put them in our own order
        image.tile = [tile._replace(args=("F;32NF", *tile.args[1:])) for tile in image.tile]
        deep = np.array(image)
    else:
        _check_depth(image, raw)
        return None
    return deep if deep is None else _with_alpha(deep, image.info.get("transparency"))


def _halves(image: Any) -> NDArray[np.uint16]:
    """The pixels of colour with 16 bits a channel.

    Pillow has no such mode and keeps the high byte of each value. Told that the bytes lie the other way round it keeps
    the other one, so the file is read twice. Told that colours are not multiplied by alpha, it leaves them as they are.
    """
    file, page, premultiplied = image.fp, image.tell(), raw_mode(image) == "RGBa;16"
    image.tile = [tile._replace(args=_first(tile.args, lambda raw: raw.replace("a", "A"))) for tile in image.tile]
    high = np.array(image).astype(np.uint16)
    with Image.open(file) as again:
        again.seek(page)
        again.tile = [tile._replace(args=_first(tile.args, _other_order)) for tile in again.tile]
        both: NDArray[np.uint16] = high << 8 | np.array(again)
    return planes.not_premultiplied(both) if premultiplied else both


def _first(args: Any, change: Any) -> Any:
    return (change(args[0]), *args[1:]) if isinstance(args, tuple) else change(args)


def _other_order(raw: str) -> str:
    order = _NATIVE if raw.endswith("N") else raw[-1]
    return raw[:-1].replace("a", "A") + ("B" if order == "L" else "L")


def _portable(image: Any, raw: str) -> NDArray[np.uint16] | None:
    """The pixels of a PGM or PPM of more than 8 bits, whose highest value becomes 65535; None for other files."""
    tile = image.tile[0]
    most = tile.args[-1] if tile.codec_name != "raw" else _FULL if raw == "I;16" else 255
    if most < 256:
        return None
    if tile.codec_name == "ppm_plain":
        require(
            image.mode == "I", "colour with 16 bits a channel as text is not supported", hint="save it as bytes (P6)"
        )
        return np.array(image).astype(np.uint16)
    shape = image.size[::-1] + (() if image.mode == "I" else (3,))
    image.fp.seek(tile.offset)
    numbers = np.frombuffer(image.fp.read(2 * int(np.prod(shape))), ">u2").reshape(shape)
    return np.minimum((numbers * (_FULL / most)).round(), _FULL).astype(np.uint16)


def _with_alpha(deep: NDArray[Any], transparent: Any) -> NDArray[Any]:
    """The pixels with an alpha channel, where one colour is meant to be transparent."""
    if transparent is None:
        return deep
    colours = deep[..., None] if deep.ndim == 2 else deep
    alpha = np.where((colours == transparent).all(-1, keepdims=True), 0, _FULL).astype(deep.dtype)
    return np.concatenate([colours, alpha], -1)


def _check_depth(image: Any, raw: str) -> None:
    """Raise `InputError` where Pillow would keep only 8 bits of more."""
    deeper = ";16" in raw and not image.mode.startswith("I;16")
    if image.format == "SGI":
        deeper = image.tile[0].codec_name == "SGI16"
    if image.format == "JPEG2000" and image.mode not in ("I", "I;16"):
        place = image.fp.tell()
        image.fp.seek(0)
        head = image.fp.read(1 << 16)
        image.fp.seek(place)
        deeper = _JP2_HEAD in head and head[head.find(_JP2_HEAD) + 42] & 0x7F > 7  # the first channel's bits, less one
    require(not deeper, f"16 bits a channel are read from grey, RGB and RGBA only, not from {raw} of {image.format}")
