"""The pictures that are played with: 8 bits, small enough to follow a finger, kept under names nobody can guess."""

import importlib.util
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from warpkit.cli.photo import Photo, read_bytes
from warpkit.errors import InputError
from warpkit.quoting import shown

LONGEST = 1024  # pixels of a side: θ has no unit, and the lines to copy serve the original
_KEPT = 32  # pictures, of all tabs together
_MATPLOTLIB = "mpl-data/sample_data/grace_hopper.jpg"  # U.S. Navy, in the public domain


@dataclass(frozen=True)
class Picture:
    """A picture with 8 bits a channel; `name` is that of its file, `note` says what was changed."""

    photo: Photo
    name: str
    note: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Its number of rows and of columns."""
        return self.photo.pixels.shape[1], self.photo.pixels.shape[2]


class Pictures:
    """The pictures of all tabs: the first one for good, of the others those that were used last."""

    def __init__(self, first: Picture) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Picture] = {}
        self.first = self.add(first)

    def add(self, picture: Picture) -> str:
        """Keep a picture; the name under which it is found."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[name] = picture
            while len(self._kept) > _KEPT:
                del self._kept[next(key for key in self._kept if key != self.first)]
        return name

    def get(self, name: str) -> Picture:
        """The picture of this name; `InputError` where there is none any more."""
        with self._lock:
            if name not in self._kept:
                raise InputError("this picture is not kept any more", hint="open it again")
            self._kept[name] = picture = self._kept.pop(name)  # now the last that would go
            return picture


def read(data: bytes, name: str) -> Picture:
    """The picture in a file's bytes, of several pages the first. `InputError` for what `warpkit warp` refuses."""
    name = shown(name) or "picture"
    pages = read_bytes(data, name)
    return fitted(pages[0], name, [f"the first of {len(pages)} pages"] if len(pages) > 1 else [])


def fitted(photo: Photo, name: str, notes: Sequence[str] = ()) -> Picture:
    """A photograph as the page takes it: of 8 bits a channel, and not too large."""
    notes = list(notes)
    if photo.pixels.dtype != torch.uint8:
        photo = replace(photo, pixels=_in_bytes(photo.pixels))
        notes.append("shown with 8 bits a channel")
    height, width = photo.pixels.shape[1:]
    if max(height, width) > LONGEST:
        photo = _reduced(photo)
        notes.append(f"{width} × {height} pixels, shown as {photo.pixels.shape[2]} × {photo.pixels.shape[1]}")
    return Picture(photo, name, ", ".join(notes))


def sample() -> Picture:
    """The portrait that comes with Matplotlib where that is installed, else a pattern."""
    found = importlib.util.find_spec("matplotlib")
    path = Path(found.origin).parent / _MATPLOTLIB if found and found.origin else None
    if path and path.is_file():
        return read(path.read_bytes(), path.name)
    return Picture(Photo(_pattern()), "pattern.png")


def rgba(photo: Photo) -> bytes:
    """The pixels row by row, four bytes each, as a canvas takes them."""
    pixels, has_alpha = photo.pixels, photo.has_alpha
    colours = pixels[:-1] if has_alpha else pixels
    whole = torch.full((*pixels.shape[1:], 4), 255, dtype=torch.uint8)
    whole[..., :3] = colours.movedim(0, -1)
    if has_alpha:
        whole[..., 3] = pixels[-1]
    return whole.numpy().tobytes()


def _in_bytes(pixels: Tensor) -> Tensor:
    """Pixels of 16 bits, or of floating-point numbers from 0 to 1 (or to whatever they reach), as bytes."""
    values = pixels.double().nan_to_num(0, 0, 0)
    if pixels.is_floating_point():
        low, high = float(values.min().clamp(max=0)), float(values.max().clamp(min=1))
        values = (values - low) / (high - low)
    else:
        values = values / torch.iinfo(pixels.dtype).max
    return (values * 255).round().to(torch.uint8)


def _reduced(photo: Photo) -> Photo:
    pixels = photo.pixels.movedim(0, -1).squeeze(-1).contiguous().numpy()
    height, width = pixels.shape[:2]
    scale = LONGEST / max(height, width)
    small = Image.fromarray(pixels).resize(
        (max(1, round(scale * width)), max(1, round(scale * height))), Image.Resampling.LANCZOS, reducing_gap=3.0
    )
    return replace(photo, pixels=torch.from_numpy(np.atleast_3d(np.array(small)).transpose(2, 0, 1).copy()))


def _pattern(side: int = 512) -> Tensor:
    """Rings, a board and a disc in soft colours, in which a turn, a flip and a bend are told apart."""
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    board = (np.floor(4 * x) + np.floor(4 * y)) % 2
    rings = 0.5 + 0.5 * np.cos(9 * np.pi * np.hypot(x, y))
    colours = np.stack([0.45 + 0.35 * x, 0.62 - 0.2 * y, 0.75 - 0.3 * x * y])
    shaded = colours * (0.78 + 0.14 * board + 0.12 * rings)
    disc = np.hypot(x + 0.5, y + 0.5) < 0.18
    shaded = np.where(disc, np.array([0.95, 0.45, 0.3])[:, None, None], shaded)
    return torch.from_numpy((shaded * 255).clip(0, 255).astype(np.uint8))
