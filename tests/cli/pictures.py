"""Picture files made byte by byte, from the formats' specifications: what is read from them needs no other reader."""

import struct
import zlib

import numpy as np


def png(pixels: np.ndarray, colour: int, *chunks: tuple[bytes, bytes], bits: int = 8) -> bytes:
    """`pixels` [H, W] or [H, W, C], 8 or 16 bits, with further chunks before the data."""
    height, width = pixels.shape[:2]
    big = pixels.astype(f">u{pixels.itemsize}")
    rows = b"".join(b"\0" + row.tobytes() for row in big)
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize if bits == 8 else bits, colour, 0, 0, 0)
    every = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in every
    )


def tiff(
    pixels: np.ndarray,
    *,
    order: str = "<",
    photometric: int | None = None,
    planar: bool = False,
    deflate: bool = False,
    extra: int | None = None,
) -> bytes:
    """One page, [H, W] or [H, W, C], of any type of number, in strips of two rows; TIFF 6.0, sections 2, 8 and 18."""
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    numbers = pixels.astype(pixels.dtype.newbyteorder(order))
    planes = [numbers[..., i] for i in range(samples)] if planar else [numbers]
    strips = [plane[row : row + 2].tobytes() for plane in planes for row in range(0, height, 2)]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    places = 8 + np.cumsum([0, *map(len, strips)])
    tags = {
        256: [width],
        257: [height],
        258: [8 * pixels.itemsize] * samples,
        259: [8 if deflate else 1],
        262: [(2 if samples > 2 else 1) if photometric is None else photometric],
        273: list(places[:-1]),
        277: [samples],
        278: [2],
        279: [len(strip) for strip in strips],
        284: [2 if planar else 1],
        339: [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * samples,
    }
    if extra is not None:
        tags[338] = [extra]
    directory = places[-1] + places[-1] % 2
    after = directory + 2 + 12 * len(tags) + 4
    entries, tail = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > 4:
            packed, tail = struct.pack(f"{order}I", after + len(tail)), tail + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory)
    data = b"".join(strips)
    return (head + data).ljust(directory, b"\0") + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + tail
