"""The page inside of a notebook: a frame around what the server shows."""

import html
from typing import Any

import numpy as np
import torch
from torch import Tensor

from warpkit.cli.photo import Photo
from warpkit.errors import InputError
from warpkit.play.pictures import Picture, fitted, sample
from warpkit.play.server import Server


class Page:
    """A page that is served to this machine until `stop()`, or the end of the process; a notebook shows it."""

    def __init__(self, image: Any = None, transform: str = "thin_plate_spline", *, height: int = 760) -> None:
        """Begin with an image, bytes or floats from 0 to 1: [1, C, H, W], [C, H, W] or [H, W], C 1 to 4."""
        picture = sample() if image is None else _picture(image)
        self.server, self.height = Server(picture, transform, {}), height
        self.server.start()

    @property
    def url(self) -> str:
        """The address that the frame shows."""
        return self.server.url

    def stop(self) -> None:
        """Serve the page no more, and free its port."""
        self.server.stop()

    def _repr_html_(self) -> str:
        style = f"width: 100%; height: {int(self.height)}px; border: 0"
        return f'<iframe src="{html.escape(self.url)}" style="{style}" allow="clipboard-write"></iframe>'


def _picture(image: Any) -> Picture:
    try:
        pixels = torch.as_tensor(np.asarray(image.detach().cpu() if isinstance(image, Tensor) else image))
    except (TypeError, ValueError) as error:
        raise InputError("image", expected="a tensor or an array", given=image) from error
    pixels = pixels[0] if pixels.ndim == 4 and len(pixels) == 1 else pixels
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    kinds = (torch.uint8, torch.uint16, torch.float16, torch.float32, torch.float64)
    if pixels.ndim != 3 or len(pixels) not in (1, 2, 3, 4) or pixels.dtype not in kinds or 0 in pixels.shape:
        raise InputError("image", expected="[1, C, H, W], C 1 to 4, bytes or floats from 0 to 1", given=image)
    return fitted(Photo(pixels), "image.png")
