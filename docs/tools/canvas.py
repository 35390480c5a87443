"""What the pictures of the docs have in common: a photograph, colours, and an image drawn in a panel."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
BLUE, ORANGE, GREEN, YELLOW = "#3b7fcb", "#d9772b", "#3a9a62", "#ffd23f"
INK = GREY = "#767676"  # reads on white and on black


def whole_photo() -> Tensor:
    """The photograph as a tensor [1, 3, 600, 512] of bytes."""
    with Image.open(matplotlib.get_data_path() + "/sample_data/grace_hopper.jpg") as whole:
        return torch.from_numpy(np.array(whole.convert("RGB"))).permute(2, 0, 1)[None]


def photo(side: int) -> Tensor:
    """A square of the photograph as a tensor [1, 3, side, side] in 0 … 1."""
    with Image.open(matplotlib.get_data_path() + "/sample_data/grace_hopper.jpg") as whole:
        square = whole.convert("RGB").crop((56, 0, 456, 400)).resize((side, side), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(square) / 255.0).float().permute(2, 0, 1)[None]


def show(ax: Axes, image: Tensor, title: str = "", *, size: float = 11) -> None:
    """Draw the image in normalised coordinates, y downwards."""
    ax.imshow(image[0].permute(1, 2, 0).clamp(0, 1).squeeze(-1), cmap="gray", vmin=0, vmax=1, extent=(-1, 1, 1, -1))
    ax.set_title(title, fontsize=size)
    ax.set_axis_off()
