"""One answer to the page: the picture as `wk.warp` makes it, the grid, the handles, θ, and lines to copy."""

import json
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from warpkit.cli.alpha import warp_pixels
from warpkit.cli.photo import Photo
from warpkit.errors import require
from warpkit.geometry import lattice, to_normalised, to_pixels
from warpkit.play.asked import FLAGS, Asked
from warpkit.play.lines import command, python
from warpkit.play.offer import options_of, transform_of
from warpkit.play.pictures import Picture, rgba
from warpkit.transforms.base import Transform
from warpkit.transforms.handles import drag

_LINES, _STOPS = 13, 49  # of the grid: lines along each axis, points along each line
_DIGITS = 5  # decimals of a θ that handles lead to: a hundredth of a pixel, and short enough to copy


@dataclass(frozen=True)
class Scene:
    """What the page shows: places are parts of the picture's width and height, so that it needs no convention."""

    photo: Photo
    theta: list[float]
    handles: list[list[float] | None]
    grid: Tensor
    python: str
    command: str

    def encoded(self) -> bytes:
        """A head of JSON behind its length (4 bytes, little-endian), the grid as float32, the pixels as RGBA."""
        told = {
            "theta": self.theta,
            "handles": self.handles,
            "size": list(self.photo.pixels.shape[1:]),
            "grid": list(self.grid.shape),
            "python": self.python,
            "command": self.command,
        }
        head = json.dumps(told, allow_nan=False).encode()
        head += b" " * (-len(head) % 4)  # so that what follows begins at a multiple of four
        return len(head).to_bytes(4, "little") + head + self.grid.numpy().astype("<f4").tobytes() + rgba(self.photo)


def scene(asked: Asked, picture: Picture) -> Scene:
    """The answer to a request. `InputError` where something in it is wrong."""
    transform, options, size = transform_of(asked), options_of(asked), picture.size
    with torch.no_grad():
        theta = torch.tensor([asked.theta])
        transform.check_theta(theta)
        if asked.handles is not None:
            theta = _dragged(asked, transform, theta, size)
        photo = replace(picture.photo, pixels=warped(asked, transform, theta[0], picture))
        handles = _parts(transform.handles(theta), size, asked.align_corners)[0].tolist()
        grid = _grid(transform, theta, size, asked.align_corners)
    numbers = [_written(x) for x in theta[0]]
    return Scene(
        photo,
        theta=[float(x) for x in numbers],
        handles=[place if all(map(_is_finite, place)) else None for place in handles],
        grid=grid,
        python=python(asked, options, numbers),
        command=command(asked, options, picture.name, numbers),
    )


def warped(asked: Asked, transform: Transform, theta: Tensor, picture: Picture) -> Tensor:
    """The pixels [C, H, W]: `wk.warp` of the picture's, with alpha as `warpkit warp` treats it."""
    how: dict[str, Any] = {
        "size": asked.size or picture.size,
        "kernel": asked.kernel,
        "padding_mode": asked.padding,
        **{flag: getattr(asked, flag) for flag in FLAGS},
    }
    return warp_pixels(picture.photo, transform, theta[None], [0.0] * len(picture.photo.pixels), **how)


def _dragged(asked: Asked, transform: Transform, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """θ after the drag, rounded to what people copy."""
    assert asked.handles is not None
    held = transform.handles(theta)
    count, moved = held.shape[1], asked.moved
    require(len(asked.handles) == count, "handles", expected=f"{count} of them", given=len(asked.handles))
    require(all(i < count for i in moved), "moved", expected=f"numbers below {count}", given=moved)
    nowhere = (float("nan"), float("nan"))
    parts = torch.tensor([[place or nowhere for place in asked.handles]], dtype=torch.float64)
    sides = zip(parts.unbind(-1), reversed(size), strict=True)
    places = [to_normalised(part * n - 0.5, n, asked.align_corners) for part, n in sides]
    found = drag(transform, theta, torch.stack(places, -1), moved)
    require(bool(found.isfinite().all()), "no θ puts the handle there")
    return found.double().round(decimals=_DIGITS).to(theta.dtype)


def _grid(transform: Transform, theta: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Lines over the output, as the input has them: first those across it, then those down, [2 · lines, stops, 2]."""
    across = lattice((_LINES, _STOPS), align_corners=True)
    down = lattice((_STOPS, _LINES), align_corners=True).transpose(0, 1)
    return _parts(transform(theta, torch.cat([across, down])[None]), size, align_corners)[0]


def _parts(points: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Normalised points as parts of the picture's width and height."""
    sides = zip(points.unbind(-1), reversed(size), strict=True)
    return torch.stack([(to_pixels(x, n, align_corners) + 0.5) / n for x, n in sides], -1)


def _written(x: Tensor) -> str:
    """The shortest decimal that is this float32 again."""
    return str((x + 0.0).numpy())  # a zero without its sign


def _is_finite(x: float) -> bool:
    return abs(x) < float("inf")
