"""TIFF files that keep each channel apart from the others, which Pillow mixes up unless they are 8-bit RGB."""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from warpkit.errors import require

# Tags, by the names of the TIFF specification.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLES_PER_PIXEL, _PLANAR_CONFIGURATION = 258, 262, 277, 284
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
# ImageWidth, ImageLength, Compression, FillOrder, Orientation, RowsPerStrip, Predictor, TileWidth, TileLength
_COMMON = (256, 257, 259, 266, 274, 278, 317, 322, 323)
_PIECES = (273, 279, 324, 325)  # offsets and lengths of strips, and of tiles: first all of one channel, then the next
_COLOURS = {0: 1, 1: 1, 2: 3}  # photometric interpretation: white is zero, black is zero, RGB
_LONG = 4  # a tag's type: numbers of 32 bits


def are_apart(image: Any) -> bool:
    """Whether the image is such a file, in grey or RGB."""
    tags = getattr(image, "tag_v2", {})
    apart = tags.get(_PLANAR_CONFIGURATION) == 2 and tags.get(_SAMPLES_PER_PIXEL, 1) > 1
    return apart and tags.get(_PHOTOMETRIC) in _COLOURS


def read(image: Any) -> NDArray[Any]:
    """The pixels [H, W, C]; each channel is read as a grey picture, under a head that knows of no other."""
    tags = image.tag_v2
    samples, extra = tags[_SAMPLES_PER_PIXEL], tags.get(_EXTRA_SAMPLES, ())
    require(len(set(tags[_BITS_PER_SAMPLE])) == 1, "its channels differ in depth, which is not supported")
    colours = _COLOURS[tags[_PHOTOMETRIC]]
    alpha = samples == colours + 1 and extra != (0,)  # 0: whatever else it is
    image.fp.seek(0)
    data = image.fp.read()
    pixels = np.stack([_channel(data, tags, i, samples) for i in range(colours + alpha)], -1)
    if tags[_PHOTOMETRIC] == 0:
        pixels[..., 0] = np.iinfo(pixels.dtype).max - pixels[..., 0]
    return not_premultiplied(pixels) if alpha and extra == (1,) else pixels


def _channel(data: bytes, tags: Any, i: int, samples: int) -> NDArray[Any]:
    head: dict[int, Any] = {tag: np.atleast_1d(tags[tag]) for tag in _COMMON if tag in tags}
    for tag in _PIECES:
        if tag in tags:
            head[tag] = np.array_split(np.atleast_1d(tags[tag]), samples)[i]
    head |= {_BITS_PER_SAMPLE: tags[_BITS_PER_SAMPLE][:1], _SAMPLES_PER_PIXEL: (1,), _PHOTOMETRIC: (1,)}
    head[_SAMPLE_FORMAT] = tags.get(_SAMPLE_FORMAT, (1,))[:1]
    with Image.open(io.BytesIO(_with_head(data, "<" if tags.prefix == b"II" else ">", head))) as image:
        return np.array(image)


def _with_head(data: bytes, order: str, tags: dict[int, Any]) -> bytes:
    """The same file with another directory, which stands behind it (TIFF 6.0, section 2)."""
    data += b"\0" * (len(data) % 2)
    entries, after = b"", b""
    for tag, values in sorted(tags.items()):
        numbers = struct.pack(f"{order}{len(values)}I", *values)
        if len(numbers) > 4:  # no room in the entry
            numbers, after = struct.pack(f"{order}I", len(data) + 2 + 12 * len(tags) + 4 + len(after)), after + numbers
        entries += struct.pack(f"{order}HHI", tag, _LONG, len(values)) + numbers
    first = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", len(data))
    return first + data[8:] + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + after


def not_premultiplied(pixels: NDArray[Any]) -> NDArray[Any]:
    """The pixels with colours divided by alpha, which is the last channel; black where it is zero."""
    full = np.iinfo(pixels.dtype).max
    colours, alpha = pixels[..., :-1].astype(np.float64), pixels[..., -1:]
    divided = np.divide(colours * full, alpha, out=np.zeros_like(colours), where=alpha > 0)
    return np.concatenate([divided.round().clip(0, full).astype(pixels.dtype), alpha], -1)
