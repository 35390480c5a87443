"""The same image at ever lower resolution, coarsest first."""

import torch
from jaxtyping import Float
from torch import Tensor

from warpkit.geometry import lattice
from warpkit.sampling.sampler import sample

_LONGEST, COARSEST = 40, 2048  # pixels along an axis, and in all, of the coarsest: a motion of a tenth is a few of them
_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # Burt & Adelson 1983, "The Laplacian pyramid as a compact image code"


def pyramid(image: Float[Tensor, "N C *S"], align_corners: bool) -> list[Tensor]:
    """The levels of an image [N, C, *S], coarsest first, each half as large as the next.

    Normalised coordinates stay the same.
    """
    levels = [image]
    while max(levels[-1].shape[2:]) > _LONGEST or levels[-1].shape[2:].numel() > COARSEST:
        levels.append(_halved(levels[-1], align_corners))
    return levels[::-1]


def _halved(image: Float[Tensor, "N C *S"], align_corners: bool) -> Float[Tensor, "N C *T"]:
    sizes = image.shape[2:]
    halved = [(n + 1) // 2 if 2 * n > max(sizes) else n for n in sizes]
    for axis, (n, half) in enumerate(zip(sizes, halved, strict=True), start=2):
        if half < n:
            image = _blurred(image, axis)
    # Sampled at its own lattice, so that the coordinates of an odd size are right too.
    points = lattice(halved, align_corners=align_corners, dtype=image.dtype, device=image.device)
    return sample(image, points[None], padding_mode="border", align_corners=align_corners)


def _blurred(image: Tensor, axis: int) -> Tensor:
    n = image.shape[axis]
    index = torch.arange(n, device=image.device)
    taps = [image.index_select(axis, (index + i - 2).clamp(0, n - 1)) * weight for i, weight in enumerate(_BLUR)]
    return torch.stack(taps).sum(0)
