"""The formats that can hold a photograph: Pillow is asked to write a small one, and to read it again."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from warpkit.cli.photo.picture import Photo
from warpkit.cli.photo.reader import decode
from warpkit.cli.photo.writer import COMMON, encode
from warpkit.errors import InputError

_SMALL = 256  # pixels a side: what is no larger is tried in full
_LONGEST = 1 << 20  # no format has a limit above
_TINY = (16, 16)
_LOSS = 0.1  # of the whole range, which formats that lose something stay below
_ONLY_WRITTEN = ("PDF", "EPS")  # Pillow does not read them, or not alone; 8 bits of grey and RGB they hold


def check_holds(path: Path, photo: Photo, size: tuple[int, ...], count: int = 1) -> None:
    """Raise `InputError` unless a file of this name can hold `count` pictures of this kind and size."""
    if holds(path.suffix, photo, size, count):
        return
    what = photo.kind
    if holds(path.suffix, photo, _TINY):
        what = f"{size[1]} × {size[0]} pixels" if count == 1 else f"{count} pictures, {what}"
    ends = [end for end in COMMON if holds(end, photo, size, count)]
    hint = f"try {', '.join(ends)}" if ends else ""
    raise InputError(f"{path.suffix} cannot hold {what}", hint=hint, path=str(path))


def holds(suffix: str, photo: Photo, size: tuple[int, ...], count: int = 1) -> bool:
    """Whether a file of this suffix brings the photograph back, but for the loss that its format always makes."""
    if Image.registered_extensions()[suffix.lower()] in _ONLY_WRITTEN:
        return photo.pixels.dtype == torch.uint8 and len(photo.pixels) in (1, 3) and not photo.palette and count == 1
    height, width = (min(side, _LONGEST) for side in size)
    shapes = [size] if max(size) <= _SMALL else [(height, 1), (1, width)]
    sample = _sample(photo)
    flat = [replace(sample, pixels=sample.pixels[:, :1, :1].repeat(1, *shape)) for shape in shapes]
    return all(_comes_back(suffix, it, min(count, 2)) for it in (sample, *flat))


def _sample(photo: Photo) -> Photo:
    """A small photograph of the same kind: another gradient through all values in each channel, alpha never small."""
    dtype = photo.pixels.dtype
    up = torch.linspace(0, 1, _TINY[0] * _TINY[1], dtype=torch.float64).reshape(_TINY)
    ramps = torch.stack([up, 1 - up, up, 1 - up / 2][: len(photo.pixels)])
    if photo.has_alpha:
        ramps[-1] = 1 - up / 2
    if photo.palette is not None:
        colours = len(photo.palette.colours) // 3
        return replace(photo, pixels=(ramps * (colours - 1) / 2).to(dtype) * 2)  # some stay unused
    if dtype.is_floating_point:
        return replace(photo, pixels=(1.5 - ramps).to(dtype))
    pixels = (ramps * torch.iinfo(dtype).max).round().int()
    return replace(photo, pixels=(pixels if dtype == torch.uint8 else pixels ^ 0x55).to(dtype))  # no byte twice


def _comes_back(suffix: str, photo: Photo, count: int) -> bool:
    try:
        back = decode(BytesIO(encode([photo] * count, suffix)), indexed=photo.palette is not None)
    except Exception:  # Pillow's writers raise nearly anything for what a format cannot be
        return False
    return len(back) == count and all(_same(photo, it) for it in back)


def _same(given: Photo, back: Photo) -> bool:
    if given.pixels.dtype != back.pixels.dtype or given.pixels.shape[1:] != back.pixels.shape[1:]:
        return False
    if given.palette is not None:
        return (
            torch.equal(given.pixels, back.pixels) and back.palette is not None and given.palette.begins(back.palette)
        )
    exact = given.pixels.dtype != torch.uint8
    apart = (_rgba(given) - _rgba(back)).abs().max().item()
    return apart <= (0 if exact else _LOSS)


def _rgba(photo: Photo) -> Tensor:
    """The colours and alpha as float64 [4, H, W], where full scale is 1."""
    pixels = photo.pixels
    full = 1.0 if pixels.is_floating_point() else float(torch.iinfo(pixels.dtype).max)
    scaled = pixels.double() / full
    colours = scaled[: len(pixels) - photo.has_alpha]
    return torch.cat([colours.expand(3, -1, -1), scaled[-1:] if photo.has_alpha else torch.ones_like(scaled[:1])])
