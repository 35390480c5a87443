"""How well two images agree, in numbers that need no explanation."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from warpkit.transforms.base import Transform
from warpkit.warping import warp


class Agreement(NamedTuple):
    """The agreement of two images over those pixels of the fixed one that the moving one shows."""

    difference: float  # root mean square, in the images' units; nan without overlap
    correlation: float  # −1 … 1; nan for a flat image
    overlap: float  # the share of those pixels


@torch.no_grad()
def agreement(
    moving: Shaped[Tensor, "1 C *S"],
    fixed: Shaped[Tensor, "1 C *T"],
    transform: Transform,
    theta: Float[Tensor, "1 *P"],
) -> Agreement:
    """The agreement of the moving image, warped by θ, with the fixed one."""
    size, moving, fixed = fixed.shape[2:], moving.float(), fixed.float()
    seen = (
        warp(torch.ones_like(moving[:, :1]), transform, theta, size=size)[0, 0] > 0.999
    )  # weights that sum to one, but for rounding
    m, f = (image[0, :, seen].double() for image in (warp(moving, transform, theta, size=size), fixed))
    pair = torch.stack([m.flatten(), f.flatten()])
    correlation = float(torch.corrcoef(pair)[0, 1]) if pair.shape[1] > 1 else torch.nan
    return Agreement(float((m - f).square().mean().sqrt()), correlation, float(seen.double().mean()))
