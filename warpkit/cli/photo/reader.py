"""The reading of photographs from a file."""

import contextlib
import warnings
from collections.abc import Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from warpkit.cli.memory import require_room
from warpkit.cli.photo import deep
from warpkit.cli.photo.picture import Palette, Photo
from warpkit.errors import InputError, require

_ORIENTATION = 0x0112  # the EXIF tag
_STILLS = ("PSD", "MPO")  # what Pillow counts there are layers, and a camera's previews and gain maps
_BYTES = 24  # a pixel, while it is read: Pillow's four, and copies of up to 16 bits a channel
_BANDS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_BITS = {"L;2": 85, "L;4": 17}  # raw mode → what its steps are multiplied by to reach 255


def read(path: Path) -> Photo:
    """The photograph in this file, upright: the turn its EXIF data asks for is made.

    Palettes become RGB (with alpha where they have it), 1-bit images 8-bit grey, CMYK and other colour spaces RGB.
    Raises `InputError` for what is no picture or damaged, for several pictures in one file, for 32-bit integers and
    numbers with a sign, and for 16 bits in other colours than grey and RGB.
    """
    frames = read_frames(path)
    require(len(frames) == 1, f"{path} holds {len(frames)} pictures, where one is expected")
    return frames[0]


def read_frames(path: Path, *, indexed: bool = False) -> list[Photo]:
    """Every page of a TIFF file, as `read` reads it, and the one picture of other files.

    With `indexed` a picture that has a palette is its indices. Raises `InputError` as `read` does, and for animations.
    """
    with _named(str(path)), path.open("rb") as file:  # given a path, Pillow maps some files, and mixes up turned TIFF
        return decode(file, indexed=indexed)


def read_bytes(data: bytes, name: str, *, indexed: bool = False) -> list[Photo]:
    """Every page of a file that is in memory, as `read_frames` reads it; `name` is for messages."""
    with _named(name):
        return decode(BytesIO(data), indexed=indexed)


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    """Whatever is raised inside becomes an `InputError` that names the file."""
    try:
        yield
    except InputError as error:
        raise error.at(name) from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is no picture that Pillow can read") from None
    except Exception as error:  # Pillow's readers raise nearly anything where a file is damaged
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{name} cannot be read: {reason}") from error


def decode(file: BufferedReader | BytesIO, *, indexed: bool) -> list[Photo]:
    """The photographs that `read_frames` returns, from an open file. Raises whatever Pillow raises."""
    with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
        return [_photo(image, indexed) for _ in _pages(image)]


def _pages(image: Any) -> Iterator[None]:
    """Seek each page in turn; the thumbnails that a TIFF file has of its pages are passed over."""
    count = getattr(image, "n_frames", 1)
    views = [kind for kind in _mpo_kinds(image) if kind.startswith("Multi-Frame")]
    require(not views, f"it holds {count} pictures of one scene ({', '.join(views)}), and a result has one")
    if image.format in _STILLS or count == 1:
        yield
        return
    require(image.format == "TIFF", f"it is a {image.format} with {count} frames: an animation cannot be warped")
    for page in range(count):
        image.seek(page)
        if page == 0 or not image.tag_v2.get(254, 0) & 1:
            yield


def _mpo_kinds(image: Any) -> list[str]:
    entries = (getattr(image, "mpinfo", None) or {}).get(0xB002, [])
    return [entry["Attribute"]["MPType"] for entry in entries]


def _photo(image: Any, indexed: bool) -> Photo:
    require_room(_BYTES * image.width * image.height, f"{image.width} × {image.height} pixels")
    if image.format == "TIFF":  # Pillow leaves black what is missing
        areas = [(right - left) * (bottom - top) for left, top, right, bottom in (tile.extents for tile in image.tile)]
        require(sum(areas) >= image.width * image.height, "it is damaged: its parts do not cover the picture")
    raw, profile = deep.raw_mode(image), image.info.get("icc_profile")
    palette = None
    pixels = deep.pixels(image)
    if pixels is None:
        image.load()
        colours = image.palette if indexed and image.mode == "P" else None
        if colours is not None and colours.mode == "RGB":
            palette = Palette(bytes(image.getpalette("RGB")), image.info.get("transparency"))
        pixels = np.array(image if palette else _plain(image, raw))
        same_colours = _BANDS.get(len(image.getbands())) == image.mode or image.mode in ("I;16", "I;16B", "F")
        profile = profile if same_colours or palette else None
    return Photo(_channels_first(_upright(pixels, image)), profile, palette)


def _plain(image: Image.Image, raw: str) -> Image.Image:
    """The image in one of the modes that `Photo` has."""
    mode = image.mode
    if image.has_transparency_data and mode in ("1", "L", "RGB"):  # one colour that is meant to be transparent
        if raw in _BITS:
            image.info["transparency"] *= _BITS[raw]  # which Pillow leaves as it stands in the file
        grey = image.convert("L") if mode == "1" else image
        return grey.convert("RGBA" if mode == "RGB" else "LA")
    if mode.startswith("I;16") or mode in ("L", "LA", "RGB", "RGBA", "F"):
        return image
    require(mode != "I", "images of 32-bit integers are not supported", hint="save it with 16 bits")
    if mode == "1":
        return image.convert("L")
    if mode == "La":  # grey multiplied by alpha
        return image.convert("LA")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _upright(pixels: NDArray[Any], image: Any) -> NDArray[Any]:
    """The pixels, turned as the EXIF data says where it can be read. Pillow itself turns TIFF."""
    turn = 1
    with contextlib.suppress(Exception):  # damaged EXIF data is no reason to lose the picture
        turn = int(image.getexif().get(_ORIENTATION, 1))
    across = pixels.swapaxes(0, 1) if turn in (5, 6, 7, 8) else pixels
    return across[:: -1 if turn in (3, 4, 7, 8) else 1, :: -1 if turn in (2, 3, 6, 7) else 1]


def _channels_first(pixels: NDArray[Any]) -> Tensor:
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy((native[None] if native.ndim == 2 else native.transpose(2, 0, 1)).copy())
